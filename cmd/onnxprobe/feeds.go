package main

import "github.com/spf13/pflag"

// feedFlags say what goes into a model's other inputs in a verb that writes no rows of
// regions.
type feedFlags struct {
	others  otherFlags
	regions regionFlags
}

// add adds the flags, and makes df feed what they say.
func (f *feedFlags) add(fs *pflag.FlagSet, mf *modelFlags, df *dataFlags) {
	df.others = &f.others
	f.others.settings = map[string]any{}
	f.others.add(fs)
	f.regions.add(fs)
	f.regions.model.of(mf, df)
	hide(fs, "Regions", "regions", "region-input")
}

// check reports flags that do not go together.
func (f *feedFlags) check(changed func(string) bool) error {
	if err := f.others.take(&f.regions, changed); err != nil {
		return err
	}
	if f.regions.path != "" {
		return usagef("--regions goes with --region-input here: each region is an item, whose box goes into the model")
	}
	return f.regions.check(changed)
}
