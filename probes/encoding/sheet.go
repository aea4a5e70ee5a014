package encoding

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"iter"
)

// Tile is one item of a contact sheet.
type Tile struct {
	// ID and Path are the item's, as results have them, and From is the origin of the
	// result, where there is one: it says which file a picture without one of its own
	// is in.
	ID, Path string
	From     *Origin
	// Of is the region of the picture that is shown; nil shows all of it.
	Of *Region
	// Caption stands below the picture.
	Caption string
}

// Strip is one row of a contact sheet.
type Strip struct {
	Title string
	Tiles []Tile
}

// WriteSheet writes a contact sheet: one HTML page that needs no other file, with
// the items' pictures in it, made small. An item whose picture cannot be read shows
// its name.
func WriteSheet(w io.Writer, title string, notes []string, strips iter.Seq[Strip]) error {
	b := bufio.NewWriterSize(w, 1<<18)
	esc := html.EscapeString
	fmt.Fprintf(b, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title>
<style>
:root{color-scheme:light dark}
body{font:14px/1.4 system-ui,sans-serif;margin:1.5em}
h1{font-size:1.3em}
h2{font-size:1em;margin:1.2em 0 .3em}
section{border-top:1px solid #8884}
.t{display:flex;flex-wrap:wrap;gap:8px}
figure{margin:0;width:%[2]dpx}
figure img,figure .n{display:block;width:%[2]dpx;height:%[2]dpx;object-fit:contain;background:#8882}
figure .n{display:flex;align-items:center;justify-content:center;overflow:hidden;overflow-wrap:anywhere;font-size:11px;padding:4px;box-sizing:border-box}
figure img.s{image-rendering:pixelated}
figcaption{font-size:11px;overflow-wrap:anywhere}
</style></head><body>
<h1>%[1]s</h1>
`, esc(title), thumb)
	for _, n := range notes {
		fmt.Fprintf(b, "<p>%s</p>\n", esc(n))
	}
	var p pictures
	for s := range strips {
		fmt.Fprintf(b, "<section><h2>%s</h2><div class=\"t\">\n", esc(s.Title))
		for _, t := range s.Tiles {
			b.WriteString("<figure>")
			if uri, small := p.of(t); uri != "" {
				class := ""
				if small {
					class = ` class="s"`
				}
				fmt.Fprintf(b, `<img%s alt="%s" title="%[2]s" src="%s">`, class, esc(t.ID), uri)
			} else {
				fmt.Fprintf(b, `<div class="n" title="%s">%[1]s</div>`, esc(t.ID))
			}
			fmt.Fprintf(b, "<figcaption>%s</figcaption></figure>\n", esc(t.Caption))
		}
		if _, err := b.WriteString("</div></section>\n"); err != nil {
			return err
		}
	}
	b.WriteString("</body></html>\n")
	return b.Flush()
}
