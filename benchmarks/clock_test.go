package benchmarks

import "time"

// threadTime is how long this thread has had a processor; nil where the system does
// not tell.
var threadTime func() time.Duration
