package dataset

import "syscall"

// The numbers of Windows, which has its own beside the names of the table.
func init() {
	for no, kind := range map[syscall.Errno]FaultKind{
		4:    MachineFault, // too many open files
		8:    MachineFault, // not enough memory
		14:   MachineFault, // out of memory
		39:   MachineFault, // the disk is full
		53:   MachineFault, // the network path was not found
		59:   MachineFault, // an unexpected network error
		64:   MachineFault, // the network name is no longer available
		112:  MachineFault, // there is not enough space
		121:  MachineFault, // the semaphore timed out
		1450: MachineFault, // insufficient system resources
		1455: MachineFault, // the paging file is too small
		23:   MediumFault,  // a cyclic redundancy check failed
		1117: MediumFault,  // an I/O device error
		87:   NameFault,    // an invalid parameter
		123:  NameFault,    // the name is no name
		206:  NameFault,    // the name is too long
		267:  NameFault,    // it is no folder
	} {
		faultKinds[no] = kind
	}
}
