package main

import (
	"github.com/spf13/pflag"

	"github.com/foresail/foresail/cmd/foresail/app/shards"
)

// shardFlags say which share of forecasting and collecting is this process's, in the words of kube-state-metrics.
type shardFlags struct {
	index, total int
	pod          string
}

func (f *shardFlags) add(fs *pflag.FlagSet) {
	fs.IntVar(&f.total, "total-shards", 1, "over how many processes forecasting and collecting are split; see shards in the config")
	fs.IntVar(&f.index, "shard", -1, "which of them this is, from 0 on; -1 means the ordinal at the end of the pod's name, as a StatefulSet gives it")
	fs.StringVar(&f.pod, "pod", "", "the name of this pod, which also tells replicas of one shard apart; without it the host's name")
}

// member returns what the flags say.
func (f *shardFlags) member() (shards.Member, error) {
	return shards.NewMember(f.index, f.total, f.pod)
}
