//go:build !turbojpeg

package dataset

import "runtime"

// jpegDecoder is what a manifest says of the decoder. The build tag turbojpeg
// takes libjpeg-turbo instead.
var jpegDecoder = "image/jpeg of " + runtime.Version() + " with libjpeg-turbo's upsampling and colours"

func decodeScans(b []byte) (*picture, error) { return goJPEG(b) }
