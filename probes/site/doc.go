// Package site finds where a network bends.
//
// An Activation is a row of a table: how to find it in a graph and at which values, its
// knots, it bends. Find gives a Site for every occurrence, named as PyTorch names the
// module, and as Unwatched every node besides that is not affine in what comes from the
// input: a bend is a site, or it is named. Both read the nodes of a model's graph;
// rewrite.Plain brings those there that functions and fused operators hold. What happens
// at a site is the business of others: this package reads models and changes none.
package site
