package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// topics are what help is about besides verbs; help/topics/NAME.txt has the text, the title first.
var topics = []string{"data", "preprocess", "sites", "regions", "engines", "gpu", "radius", "outputs", "exit-codes"}

// newHelp is help, of a verb, a verb's step, or a topic.
func newHelp(root *cobra.Command) *cobra.Command {
	c := command("help", nil)
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) (all []string, _ cobra.ShellCompDirective) {
		of, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, s := range of.Commands() {
			if s.IsAvailableCommand() {
				all = append(all, s.Name()+"\t"+s.Short)
			}
		}
		if len(args) == 0 {
			for _, t := range topics {
				title, _, _ := strings.Cut(helpText("topics/"+t), "\n")
				all = append(all, t+"\t"+title)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			for _, t := range topics {
				if args[0] == t {
					_, err := fmt.Fprint(c.OutOrStdout(), helpText("topics/"+t))
					return err
				}
			}
		}
		of, rest, err := root.Find(args)
		switch {
		case err == nil && len(rest) == 0:
			of.InitDefaultHelpFlag()
			return of.Help()
		case err == nil && of.HasParent():
			return unknown(of, rest[0])
		}
		return usageError{topicError(root, args[0])}
	}
	return c
}
