package install

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// FromProgram is the Python environment that this program lies in, as pip puts it there.
const FromProgram = "beside onnxprobe"

// place is a folder that may hold a library, and the rule that names it.
type place struct{ dir, from string }

// pythonPlaces are the folders in which pip keeps ONNX Runtime's library, in the environment
// that this program lies in and in the active one.
func pythonPlaces() []place {
	var out []place
	add := func(prefix, from string) {
		for _, site := range slices.Concat(glob(prefix, "lib", "python3*", "*-packages"), glob(prefix, "lib64", "python3*", "*-packages"),
			[]string{filepath.Join(prefix, "Lib", "site-packages")}) {
			out = append(out, place{filepath.Join(site, "onnxruntime", "capi"), from})
		}
	}
	if self, err := os.Executable(); err == nil {
		for _, path := range []string{self, realPath(self)} { // a link to it, such as pipx makes, is followed where the system has not done so
			if dir := filepath.Dir(path); filepath.Base(dir) == scripts {
				add(filepath.Dir(dir), FromProgram)
			}
		}
	}
	if env := os.Getenv("VIRTUAL_ENV"); filepath.IsAbs(env) {
		add(env, FromVenv)
	}
	return out
}

// scripts is the folder of an environment's programs.
var scripts = map[bool]string{true: "Scripts", false: "bin"}[runtime.GOOS == "windows"]

// fromPython says whether a library is of a Python environment: it was put there for others,
// so that it is taken only if it is one that this program knows.
func (c Candidate) fromPython() bool { return c.From == FromProgram || c.From == FromVenv }

// Check compares the content of a library of a Python environment, and with it what belongs
// to it for CUDA, with the sums that are part of this program. Libraries from elsewhere pass:
// they were compared when they were installed, or are the machine's owner's choice.
func (c Candidate) Check() error {
	if !c.fromPython() {
		return nil
	}
	sum, err := sumOf(c.Path)
	if err != nil {
		return err
	}
	for _, a := range artifacts {
		if a.goos != runtime.GOOS || a.goarch != runtime.GOARCH || a.members[0].sha256 != sum {
			continue
		}
		for _, m := range a.members[1:] {
			if err := checkFile(filepath.Join(filepath.Dir(realPath(c.Path)), filepath.Base(m.path)), m.size, m.sha256); err != nil {
				return err
			}
		}
		return nil
	}
	if slices.Contains(otherPythons[runtime.GOOS+"/"+runtime.GOARCH], sum) {
		return nil
	}
	return fmt.Errorf("its SHA-256 is %s, which no ONNX Runtime %s has that this program knows; %s", sum, Pinned, repin)
}

// repin is how a Python environment comes by a library that is taken.
const repin = "\"python -m pip uninstall onnxruntime\" and \"python -m pip install onnxruntime==" + Pinned + "\" put one there that is taken"

// pinned is nil for a library of a Python environment that says it is Pinned, or says nothing.
func (c Candidate) pinned() error {
	if !c.fromPython() || c.Version == "" || c.Version == Pinned {
		return nil
	}
	return fmt.Errorf("it is ONNX Runtime %s, and of a Python environment's %s alone is taken; %s", c.Version, Pinned, repin)
}

// otherPythons are the sums of the library in Pinned's wheels for other releases of Python
// than in artifacts. On Linux it is the same file in all; elsewhere each is signed anew.
var otherPythons = map[string][]string{
	"darwin/arm64": {
		"8f54aa3989f2d4b2f9fbe8af298b1c147978ec899a8c28e20d0d35edc0005027", // 3.11
		"05452268ebacf84af58ab1e21065a500687d085538067d146c34ef6f8882c5e2", // 3.13
		"fc5e2d939d523717be730720312a75eeb528d6a8627d467af5507f462b1f88d2", // 3.14
	},
	"windows/amd64": {
		"44741724166ad61c8c82885e394793807f2cf5707c83b9e33c2d78d75c6e7650",
		"5e58353170677b13f05d867f93648c8783b11ac9146f330651d281701180c186",
		"dfffcbfc0ac2942efeb9fce8205d0f9af25f51397f72a66e7d2578d9af699442",
	},
	"windows/arm64": {
		"ddeec3d8a99b9261fa4db558bba0f62d52a8577a7a2dc566bbf2b0d7ebfc90a0",
		"88b5fdd5f1ea2030803a0c431a27c1da9acc19ec8aafcd35e829a57f4cb9d639",
		"ee94afc65afe1c7836cd2aeadc686e9d8fd76991a2c0cf44f660671ab940f2ab",
	},
}
