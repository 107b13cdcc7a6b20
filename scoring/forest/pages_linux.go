package forest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of the pages that are asked for. It is that of amd64 and of arm64 with 4 KiB pages.
const hugePage = 2 << 20

// adviseHugePages asks the kernel to back entries that nothing was written to by huge pages. A row reads some thousand
// lines all over the tables: with pages of 4 KiB, most of these also have to find their page. A kernel that does not do
// it costs time only, so its answer does not matter.
func adviseHugePages(entries []entry) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(entries))), len(entries)*int(unsafe.Sizeof(entry{})))
	start := int(-uintptr(unsafe.Pointer(unsafe.SliceData(bytes))) % hugePage)
	if whole := (len(bytes) - start) / hugePage * hugePage; whole > 0 {
		_ = unix.Madvise(bytes[start:][:whole], unix.MADV_HUGEPAGE)
	}
}
