// Package picture turns image files into model inputs.
//
// Decode gives the pixels that PIL gives, Preprocess resizes, crops and normalises them
// as torchvision does, and Renderer lays them out as a model takes them. Resizing is bit
// for bit PIL's, and JPEG's pixels are libjpeg-turbo's. Geometry says where the pixels
// of the result lie on the picture. Every file is taken for hostile.
package picture
