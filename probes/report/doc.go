// Package report draws what the other packages measure and gathers it on one page.
//
// Figures take plain numbers; each is drawn as SVG or PNG, the same bytes every time.
// Collect reads result files and WritePage makes of them one HTML page that needs no
// network, no script and no other file.
package report
