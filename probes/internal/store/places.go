package store

import "path/filepath"

// Places say what the relative paths that a store's files hold count from, so that they
// can be followed from any folder, and the store's own may move with what lies below it.
type Places struct {
	// From is the folder in which the paths were given, Home the store's own then. Files of
	// earlier versions have neither, and paths count from where they are read.
	From string `json:"paths_from,omitempty"`
	Home string `json:"plan_folder,omitempty"`
}

// Lies is a path as it can be kept: relative to the store's folder where it lies below it,
// else absolute.
func (p Places) Lies(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.From, path)
	}
	if rel, err := filepath.Rel(p.Home, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// Find is where a path leads, now that the store's folder is dir.
func (p Places) Find(dir, path string) string {
	if p.From == "" || path == "" {
		return path
	}
	if path = p.Lies(path); !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path
}
