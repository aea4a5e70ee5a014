// Package site finds where a network bends.
//
// An Activation is a row of a table: how to find it in a graph and at which values, its
// knots, it bends. Find gives a Site for every occurrence, named as PyTorch names the
// module. What happens at a site is the business of others: this package reads models
// and changes none.
package site
