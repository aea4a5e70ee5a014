// Package region says which units of a network lie inside a part of the picture. A
// Region of the picture becomes a Mask over the model's input (Project), and each
// site's Layout, found from the graph (Map), says which of its units a mask holds:
// convolutional maps by the pixels that a unit depends on, token grids by the patch
// that a token stands for. The codes of the units inside are then plain bit
// arithmetic (Selection).
package region
