# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A firmware of 64 KiB that does what every guest does, and says that it came to its end.

It switches to long mode with paging, counts for a while, and tries two instructions that an emulating KVM is known
to fail at. A processor needs a tenth of a second for it; a KVM that emulates instruction by instruction, minutes.
"""

from typing import Final

_ROM_BYTES: Final = 0x10000  # ends at 4 GiB; its copy at 0xf0000 is what runs
_RESET_VECTOR: Final = 0xFFF0
_PORT: Final = 0xF4  # of QEMU's device isa-debug-exit
_WORD: Final = 0x10
# What QEMU ends with when the firmware writes the word to the port.
FINISHED_STATUS: Final = _WORD << 1 | 1
EXIT_DEVICE: Final = f"isa-debug-exit,iobase={_PORT:#x},iosize=1"

_CODE: Final = (
    # Real mode, at f000:0000.
    "fa"  # cli
    "2e660f01161801"  # lgdtl %cs:gdtr
    "0f20c0 0c01 0f22c0"  # mov %cr0,%eax; or $1,%al; mov %eax,%cr0
    "66ea18000f000800"  # ljmpl $8,protected
    # protected: 32 bits, flat.
    "b810000000 8ed8 8ec0 8ed0"  # mov $0x10,%eax; mov %eax,%ds, %es, %ss
    "bf00100000 31c0 b900280000 fc f3ab"  # clear 0x1000 to 0xb000
    "c70500100000 03200000"  # movl $0x2003,0x1000: three levels of pages,
    "c70500200000 03300000"  # movl $0x3003,0x2000: of which the last
    "c70500300000 83000000"  # movl $0x0083,0x3000: maps 2 MiB to themselves
    "b800100000 0f22d8"  # mov $0x1000,%eax; mov %eax,%cr3
    "b820060000 0f22e0"  # mov $0x620,%eax; mov %eax,%cr4: PAE, OSFXSR, OSXMMEXCPT
    "b9800000c0 0f32 0d00010000 0f30"  # EFER |= LME
    "0f20c0 25fbffff9f 0d02000080 0f22c0"  # CR0: no EM, CD, NW; MP, PG
    "ea85000f001800"  # ljmp $0x18,long
    # long: 64 bits.
    "b900000008 ffc9 75fc"  # mov $0x8000000,%ecx; 1: dec %ecx; jnz 1b
    "b801000000 0fa2 89ce"  # mov $1,%eax; cpuid; mov %ecx,%esi
    "f7c600200000 741f"  # test $CX16,%esi; jz 2f
    "bf00900000 31c0 31d2 bb01000000 b902000000"  # edi 0x9000, edx:eax 0, ecx:ebx 2:1
    "f0480fc70f"  # lock cmpxchg16b (%rdi)
    "48837f0802 7533"  # cmpq $2,8(%rdi); jne 4f
    "f7c600000004 7427"  # 2: test $XSAVE,%esi; jz 3f
    "0f20e0 0d00000400 0f22e0"  # CR4 |= OSXSAVE
    "31c9 31d2 b803000000 0f01d1"  # xor %ecx,%ecx; xor %edx,%edx; mov $3,%eax; xsetbv
    "bf00a00000 0fae27"  # mov $0xa000,%edi; xsave (%rdi)
    "b803000000 0fae2f"  # mov $3,%eax; xrstor (%rdi)
    "b010 e6f4"  # 3: mov $0x10,%al; out %al,$0xf4
    "f4 ebfd"  # 4: hlt; jmp 4b
    "0f1f4000"  # fill up to eight bytes
    # gdt: nothing, code of 32 bits, data, code of 64 bits.
    "0000000000000000 ffff0000009bcf00 ffff00000093cf00 ffff0000009baf00"
    "1f00f8000f00"  # gdtr
)


def firmware() -> bytes:
    """The whole ROM."""
    code = bytes.fromhex(_CODE)
    rom = bytearray(_ROM_BYTES)
    rom[: len(code)] = code
    rom[_RESET_VECTOR : _RESET_VECTOR + 5] = bytes.fromhex("ea000000f0")  # ljmp $0xf000,$0
    return bytes(rom)
