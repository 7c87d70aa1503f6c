package engine

import (
	"crypto/sha256"

	"muster/license"
	"muster/protocol"
)

// grantBatch gathers the grants of a batch: one Merkle tree, one signature.
type grantBatch struct {
	tree    license.Tree
	answers []grantAnswer
	leaves  []byte
	ends    []int // of each leaf in leaves
	batch   license.Batch
	path    []license.Hash
}

// grantAnswer is the answer that a grant goes into, and its memory.
type grantAnswer struct {
	*protocol.Answer
	memory *Answers
}

func (g *grantBatch) reset() {
	g.tree.Reset()
	g.answers, g.leaves, g.ends = g.answers[:0], g.leaves[:0], g.ends[:0]
}

func (g *grantBatch) add(d *Decision, grant *license.Grant) {
	start := len(g.leaves)
	g.leaves = grant.AppendBinary(g.leaves)
	g.tree.Add(license.LeafHash(g.leaves[start:]))
	g.answers = append(g.answers, grantAnswer{d.Reply.Detail, d.Memory})
	g.ends = append(g.ends, len(g.leaves))
}

// sealGrants puts the root of the batch's grants into its entry and moves the
// chain on.
func (c *Core) sealGrants() {
	if len(c.grants.answers) == 0 {
		return
	}
	m := (*metaRow)(c.meta.at(0))
	c.grants.batch = license.Batch{
		Server: c.catalog.Server, Index: c.index, Previous: m.chain,
		Size: uint32(len(c.grants.answers)), Root: c.grants.tree.Root(),
	}
	e := grantsEffect{root: c.grants.batch.Root, chain: sha256.Sum256(c.grants.batch.Statement()), size: c.grants.batch.Size}
	c.body = e.append(c.body)
	c.applyGrants(&e)
}

// SignGrants signs the closed batch's grants with sign and puts the signed
// grants into their answers. It does nothing when there are none. It touches
// only the batch's grants, so it may run on another goroutine while the entry
// is written; the answers must not leave before both are done.
func (c *Core) SignGrants(sign func(statement []byte) []byte) {
	g := &c.grants
	if len(g.answers) == 0 {
		return
	}
	signature := sign(g.batch.Statement())
	start := 0
	for i, a := range g.answers {
		leaf := g.leaves[start:g.ends[i]]
		start = g.ends[i]
		g.path = g.tree.Path(i, g.path[:0])
		memory := a.memory.grant(license.SignedGrantSize(len(leaf), len(g.path)))
		a.Grant = license.AppendSignedGrant(memory, leaf, &g.batch, uint32(i), g.path, signature)
	}
}

// Grants is the number of grants in the batch.
func (c *Core) Grants() int { return len(c.grants.answers) }
