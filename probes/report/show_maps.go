package report

import (
	"errors"
	"fmt"
	"image"
	_ "image/png" // the format of the maps
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/probes/region/draw"
)

const (
	maxMaps    = 24       // that a page shows
	mapsOfOne  = 12       // in a figure
	maxMapSize = 64 << 20 // bytes of a file, and dots of a picture
)

// maps shows the heat maps over pictures that complexity --map draws, by their index.
func maps(c *collector, r *result) error {
	t, err := readTable(r.path, func(string) bool { return true }, 0)
	if err != nil {
		return err
	}
	r.Kind, r.Path = "complexity, maps", filepath.Dir(r.path)
	var tiles []Tile
	for i := range t.rows {
		if len(tiles) == maxMaps {
			r.Notes = append(r.Notes, fmt.Sprintf("The first %d of %d pictures.", maxMaps, t.rows))
			break
		}
		m, err := readPicture(filepath.Dir(r.path), t.text("map", i))
		if err != nil {
			r.Notes = append(r.Notes, name(fmt.Sprintf("%s is not shown: %v", t.text("map", i), err), 200))
			continue
		}
		tiles = append(tiles, Tile{t.text("id", i), m, t.number("largest", i)})
	}
	for i := 0; i < len(tiles); i += mapsOfOne {
		f, err := Pictures(fmt.Sprintf("maps-%d", i/mapsOfOne+1), "units that change (share of a position's)", tiles[i:min(i+mapsOfOne, len(tiles))])
		if err := r.figure("Local complexity over the picture", "Bright where many of the units that stand for a place change their side around the picture: the share of a position's units, mean over the sites. Each picture has its own scale, up to the share below it.", f, err); err != nil {
			return err
		}
	}
	return nil
}

// mapsIn are the pictures in a folder that its index of maps shows.
func mapsIn(dir string) map[string]bool {
	t, err := readTable(filepath.Join(dir, draw.Index), func(n string) bool { return n == "map" }, 0)
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
	path := filepath.Join(dir, base)
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errors.New("it is no file")
	case st.Size() > maxMapSize:
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are read", st.Size(), maxMapSize)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head, _, err := image.DecodeConfig(f)
	if err != nil {
		return nil, err
	}
	if head.Width < 1 || head.Height < 1 || head.Width > maxMapSize/head.Height {
		return nil, fmt.Errorf("it is %d x %d dots, more than the %d that are read", head.Width, head.Height, maxMapSize)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	m, _, err := image.Decode(f)
	return m, err
}
