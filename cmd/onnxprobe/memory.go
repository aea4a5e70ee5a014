package main

// leastMemory is what is not refused by default, however little seems to be available.
const leastMemory = 1 << 30

// maxMemory is the limit of --max-memory in bytes: as given, else three quarters of what
// is available, 0 for none where that is not known.
func maxMemory(given string) (int64, error) {
	if given == "" {
		n := available()
		if n == 0 {
			return 0, nil
		}
		return max(n/4*3, leastMemory), nil
	}
	n, ok := bytesOf(given)
	if !ok {
		return 0, usagef("--max-memory %q: write a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB", given)
	}
	return n, nil
}
