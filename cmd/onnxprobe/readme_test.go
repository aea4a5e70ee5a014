package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/pflag"
)

// The convention of the README files, which cmd/onnxprobe/README.md describes:
//
//	```console   lines "$ COMMAND" and what each prints, on standard output and error together.
//	             A line ... stands for any lines, … inside a line for any text.
//	```          (no word) one command a line.
//	```python    a program; what it prints stands behind each print, as "  # TEXT".
//	```go        compiles (TestSnippetsCompile).
//	```text, json, yaml: no commands.
//
// A command ends with exit code 0, or its output shows a line that begins with "onnxprobe: ".

// readmes are the README files of the repository, by their paths in it.
func readmes(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case d.Name() == "README.md":
			all = append(all, filepath.ToSlash(file[len("../../"):]))
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d README files: %v", len(all), err)
	}
	return all
}

// block is one fenced block: the line of its first fence, the word behind that, the lines in it.
type block struct {
	line  int
	word  string
	lines []string
}

// blocks are the fenced blocks of a text, and prose its lines, those of blocks empty.
func blocks(text string) (found []block, prose []string) {
	in := false
	for i, line := range strings.Split(text, "\n") {
		word, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && !in:
			found = append(found, block{line: i + 1, word: word})
		case in && !fence:
			b := &found[len(found)-1]
			b.lines = append(b.lines, line)
		}
		if in = in != fence; in || fence {
			line = ""
		}
		prose = append(prose, line)
	}
	return found, prose
}

// shown is one command with the output that is shown of it; output is nil where none is.
type shown struct {
	line    int
	command string
	output  []string
	python  bool
}

// commandsOf are the commands of a block.
func commandsOf(b block) (all []shown, err error) {
	at := func(i int) int { return b.line + 1 + i }
	switch b.word {
	case "console":
		for i, line := range b.lines {
			command, is := strings.CutPrefix(line, "$ ")
			switch {
			case is:
				all = append(all, shown{line: at(i), command: command, output: []string{}})
			case len(all) == 0:
				return nil, fmt.Errorf("line %d stands before any command", at(i))
			default:
				s := &all[len(all)-1]
				s.output = append(s.output, line)
			}
		}
	case "":
		more := false
		for i, line := range b.lines {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if more {
				s := &all[len(all)-1]
				s.command += "\n" + line
			} else {
				all = append(all, shown{line: at(i), command: line})
			}
			more = strings.HasSuffix(line, `\`)
		}
	case "python":
		s := shown{line: at(0), command: strings.Join(b.lines, "\n"), output: []string{}, python: true}
		for _, line := range b.lines {
			if _, said, ok := strings.Cut(line, "  # "); ok && strings.Contains(line, "print(") {
				s.output = append(s.output, said)
			}
		}
		all = append(all, s)
	case "go", "text", "json", "yaml":
	default:
		return nil, fmt.Errorf("line %d: a block of %q, which is none of the convention", b.line, b.word)
	}
	return all, nil
}

// sameOutput is whether a command printed what is shown of it.
func sameOutput(output []string, got string) bool {
	var want strings.Builder
	for _, line := range output {
		if line = strings.TrimRight(line, " "); line == "..." {
			want.WriteString("(?:.*\n)*")
			continue
		}
		want.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + " *\n")
	}
	got = strings.TrimRight(got, "\n ") + "\n"
	if len(output) == 0 {
		return got == "\n"
	}
	return regexp.MustCompile("^" + want.String() + "$").MatchString(got)
}

// anchors are the anchors of a page's headings, as GitHub makes them.
func anchors(prose []string) map[string]bool {
	found := map[string]bool{}
	for _, line := range prose {
		title, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !is || !strings.HasPrefix(line, "#") {
			continue
		}
		found[strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)] = true
	}
	return found
}

// Every relative link of every README leads to a file, and to a heading in it.
func TestLinksOfREADMEs(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	links := 0
	for _, file := range readmes(t) {
		_, prose := blocks(slurp(t, "../../"+file))
		for i, line := range prose {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				to := m[1] + m[2]
				if strings.Contains(to, "://") {
					continue
				}
				links++
				at, anchor, _ := strings.Cut(to, "#")
				target := path.Join("../..", path.Dir(file), at)
				page := prose
				if at == "" {
					target = "../../" + file
				} else if strings.HasSuffix(at, ".md") {
					if b, err := os.ReadFile(target); err == nil {
						_, page = blocks(string(b))
					}
				}
				if _, err := os.Stat(target); err != nil || anchor != "" && !anchors(page)[anchor] {
					t.Errorf("%s:%d: %q leads nowhere", file, i+1, to)
				}
			}
		}
	}
	if links < 30 {
		t.Errorf("only %d links", links)
	}
}

// The first page is what a newcomer reads in ten minutes, and a folder's page has one or two
// pages; neither has long paragraphs.
func TestREADMEsAreShort(t *testing.T) {
	for _, file := range readmes(t) {
		text := slurp(t, "../../"+file)
		most := 10 << 10
		switch file {
		case "README.md":
			most = 8 << 10
		case "benchmarks/README.md": // a handbook
			most = 16 << 10
		}
		if len(text) > most {
			t.Errorf("%s has %d bytes, more than %d", file, len(text), most)
		}
		_, prose := blocks(text)
		for at, words, i := 0, 0, 0; i < len(prose); i++ {
			line := strings.TrimSpace(prose[i])
			if line == "" || strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "|") {
				at, words = i, 0
			}
			if !strings.HasPrefix(line, "|") {
				words += len(strings.Fields(line))
			}
			if words > 110 && file != "benchmarks/README.md" {
				t.Errorf("%s:%d: a paragraph of more than 110 words", file, at+1)
				words = -1 << 20
			}
		}
	}
}

// The flags that the README files name in a line exist: those of `VERB ... --flag` in that verb,
// others in some verb.
func TestFlagsInREADMEs(t *testing.T) {
	all := commands()
	has := func(path, name string) bool {
		for at, c := range all {
			if (at == path || strings.HasPrefix(at, path+" ")) && (c.Flags().Lookup(name) != nil || c.InheritedFlags().Lookup(name) != nil) {
				return true
			}
		}
		return name == "version" || name == "help"
	}
	span, flag := regexp.MustCompile("`[^`]+`"), regexp.MustCompile(`(?:^| )--([a-z][a-z0-9-]*)`)
	checked := 0
	for _, file := range readmes(t) {
		_, prose := blocks(slurp(t, "../../"+file))
		for i, line := range prose {
			for _, code := range span.FindAllString(line, -1) {
				code = strings.Trim(code, "`")
				first, _, _ := strings.Cut(strings.TrimPrefix(code, "onnxprobe "), " ")
				path := "onnxprobe " + first
				if all[path] == nil && !strings.HasPrefix(code, "--") {
					continue // of another program
				} else if all[path] == nil {
					path = "onnxprobe"
				}
				for _, m := range flag.FindAllStringSubmatch(code, -1) {
					if checked++; !has(path, m[1]) && (file != "benchmarks/README.md" || path != "onnxprobe") {
						t.Errorf("%s:%d: %s has no flag --%s", file, i+1, path, m[1])
					}
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d flags", checked)
	}
}

// The examples in help are command lines that the program knows: verbs, flags by their present
// names, their values.
func TestExamplesParse(t *testing.T) {
	examples, texts := 0, map[string]string{}
	for name, c := range commands() {
		texts[name] = c.Example
	}
	for _, topic := range topics {
		texts["help "+topic] = strings.ReplaceAll(helpText("topics/"+topic), " --preprocess ...", "")
	}
	entries, err := os.ReadDir("help/topics")
	if err != nil || len(entries) != len(topics) {
		t.Errorf("%d texts of %d topics, %v", len(entries), len(topics), err)
	}
	for name, text := range texts {
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
			if strings.HasPrefix(name, "help ") && !strings.HasPrefix(line, "  onnxprobe ") {
				continue // a sentence
			}
			_, line, found := strings.Cut(strings.TrimSpace(line), "onnxprobe ")
			if !found {
				continue
			}
			if strings.Count(line, "'")%2 == 1 { // it stands in sh -c '...'
				line = line[:strings.LastIndex(line, "'")]
			}
			for _, end := range []string{" #", " | ", " || ", " > ", "    "} {
				line, _, _ = strings.Cut(line, end)
			}
			examples++
			args := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(line))
			root := newRoot(strings.NewReader(""), io.Discard, io.Discard)
			verb, rest, err := root.Find(args)
			if err != nil || verb == root {
				t.Errorf("an example of %s: %s: no such command: %v", name, line, err)
				continue
			}
			err = verb.ParseFlags(rest)
			if err == nil {
				err = verb.ValidateArgs(verb.Flags().Args())
			}
			if err != nil {
				t.Errorf("an example of %s: %s: %v", name, line, err)
			}
			verb.Flags().Visit(func(f *pflag.Flag) {
				if f.Annotations[isNow] != nil {
					t.Errorf("an example of %s: %s: --%s %s", name, line, f.Name, f.Annotations[isNow])
				}
			})
		}
	}
	if examples < 60 {
		t.Errorf("only %d examples", examples)
	}
}
