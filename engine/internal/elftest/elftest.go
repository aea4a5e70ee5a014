// Package elftest makes shared libraries for tests of how libraries are found.
package elftest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// ELF is the smallest shared library that debug/elf reads: what it calls
// itself and what it links to, and nothing else.
func ELF(soname string, needed ...string) []byte {
	strs := []byte{0}
	var dyn []elf.Dyn64
	add := func(tag elf.DynTag, s string) {
		dyn = append(dyn, elf.Dyn64{Tag: int64(tag), Val: uint64(len(strs))})
		strs = append(append(strs, s...), 0)
	}
	add(elf.DT_SONAME, soname)
	for _, n := range needed {
		add(elf.DT_NEEDED, n)
	}
	dyn = append(dyn, elf.Dyn64{})
	machine := elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_AARCH64
	}
	const head, section = 64, 64
	dynAt := uint64(head + 3*section)
	strAt := dynAt + uint64(16*len(dyn))
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Shoff: head, Ehsize: head, Shentsize: section, Shnum: 3, Shstrndx: 2}
	copy(h.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1})
	var b bytes.Buffer
	for _, v := range []any{h,
		elf.Section64{},
		elf.Section64{Type: uint32(elf.SHT_DYNAMIC), Off: dynAt, Size: uint64(16 * len(dyn)), Link: 2, Entsize: 16},
		elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: strAt, Size: uint64(len(strs))}, dyn, strs} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

// Library writes such a file, called soname, into dir.
func Library(t testing.TB, dir, soname string, needed ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, soname), ELF(soname, needed...), 0o700); err != nil {
		t.Fatal(err)
	}
}
