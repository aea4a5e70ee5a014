package report

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/png" // the format of the maps
	"math"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/region/overlay"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

const (
	maxMaps    = 24       // that a page shows
	mapsOfOne  = 12       // in a figure
	maxMapSize = 64 << 20 // dots of a picture
)

// maps shows the heat maps over pictures that complexity --map and codes --region-agree --map
// draw, by their index.
func maps(c *collector, r *shown) error {
	t, err := r.read("map", "id", "largest", "measure", "reference", "least", "from", "to")
	if err != nil {
		return err
	}
	percent := func(column string, row int) string {
		v := t.number(column, row)
		if !finite(v) {
			return "not known"
		}
		return num(math.Round(1e3*v)/10) + " %"
	}
	r.Path, r.Kind = filepath.Dir(r.path), "complexity, maps"
	agreement := t.rows > 0 && t.text("measure", 0) == overlay.Agreement
	if agreement {
		r.Kind = "codes, agreement"
	}
	var tiles []tile
	var rows []int
	for i := range t.rows {
		if len(tiles) == maxMaps {
			r.note("The first %d of %s are shown, %s more are not.", maxMaps, text.Count(t.rows, "picture"), text.Grouped(t.rows-maxMaps))
			break
		}
		m, err := readPicture(filepath.Dir(r.path), t.text("map", i))
		if err != nil {
			r.Notes = append(r.Notes, name(fmt.Sprintf("%s is not shown: %v", t.text("map", i), err), 200))
			continue
		}
		tiles, rows = append(tiles, tile{t.text("id", i), m, t.number("largest", i)}), append(rows, i)
	}
	r.found("Maps of %s.", text.Count(t.rows, "picture"))
	title, caption := "Local complexity over the picture",
		"Bright where many of the units that stand for a place change their side around the picture: the share of a position's "+
			"units, mean over the sites. Each picture has its own scale, up to the share below it."
	key := ownScale("units that change (share of a position's)")
	span := func(k int) string { return share(tiles[k].Largest) }
	if agreement && len(rows) > 0 {
		reference := name(t.text("reference", rows[0]), 80)
		title, caption = "Agreement with "+reference,
			"Bright where the channels of the code are as in "+reference+", which is outlined in its picture: the share of a "+
				"position's bits that are set where at half or more of the positions inside the reference they are, and not set "+
				"where they are not, mean over the sites. One scale for all pictures, that of the reference's; below each picture "+
				"its least and largest agreement."
		key = pictureKey{"bits as in the reference (share of a position's)", percent("from", rows[0]), percent("to", rows[0])}
		span = func(k int) string { return percent("least", rows[k]) + " to " + percent("largest", rows[k]) }
	}
	sheet := Strip{Title: title, Caption: caption, Key: key.alone()}
	for k, i := range rows {
		at := encoding.Picture{ID: t.text("id", i), Path: filepath.Join(r.Path, t.text("map", i))}
		sheet.Items = append(sheet.Items, Item{Caption: at.ID, Detail: span(k), Picture: at})
	}
	if sheet.Items != nil {
		r.Strips = append(r.Strips, sheet)
	}
	for i := 0; i < len(tiles); i += mapsOfOne {
		to := min(i+mapsOfOne, len(tiles))
		r.figure(title, caption)(pictures(fmt.Sprintf("maps-%d", i/mapsOfOne+1), key, tiles[i:to], func(k int) string { return span(i + k) }))
	}
	return nil
}

// mapsIn are the pictures in a folder that its index of maps shows.
func mapsIn(dir string) map[string]bool {
	t, err := readTable(filepath.Join(dir, overlay.Index), func(n string) bool { return n == "map" })
	if err != nil {
		return nil
	}
	shown := map[string]bool{}
	for i := range t.rows {
		shown[t.text("map", i)] = true
	}
	return shown
}

// readPicture reads a picture of a folder, one that is safe to decode.
func readPicture(dir, base string) (image.Image, error) {
	if base == "" || base != filepath.Base(base) || base == ".." {
		return nil, errors.New("it is no name of a file in the folder of maps")
	}
	b, err := readSmall(filepath.Join(dir, base))
	if err != nil {
		return nil, err
	}
	head, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if head.Width < 1 || head.Height < 1 || head.Width > maxMapSize/head.Height {
		return nil, fmt.Errorf("it is %d x %d dots, more than the %d that are read", head.Width, head.Height, maxMapSize)
	}
	m, _, err := image.Decode(bytes.NewReader(b))
	return m, err
}
