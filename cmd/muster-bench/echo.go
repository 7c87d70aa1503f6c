package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"muster/bench/peer"
)

// The bare echoes, each a process of its own.

func (p *program) echoCommand() *cobra.Command {
	var journal string
	var entry int
	cmd := &cobra.Command{
		Use: "echo REQUEST REPLY [HOST]", Hidden: true, Args: cobra.RangeArgs(2, 3),
		RunE: p.does(func(_ context.Context, args []string) error {
			sizes, err := recordSizes(args[:2]...)
			if err != nil {
				return err
			}
			host := "127.0.0.1"
			if len(args) == 3 {
				host = args[2]
			}
			return (&peer.Echo{Request: sizes[0], Reply: sizes[1], Host: host, Up: p.out, Journal: journal, Entry: entry}).Run()
		}),
	}
	cmd.Flags().StringVar(&journal, "journal", "", "directory for a journal; empty: none")
	cmd.Flags().IntVar(&entry, "entry", 0, "bytes of the journal for each request")
	return cmd
}

func (p *program) udpEchoCommand() *cobra.Command {
	var runs bool
	cmd := &cobra.Command{
		Use: "udp-echo REPLY", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: p.does(func(_ context.Context, args []string) error {
			sizes, err := recordSizes(args[0])
			if err != nil {
				return err
			}
			return (&peer.UDPEcho{Reply: sizes[0], Runs: runs, Up: p.out}).Run()
		}),
	}
	cmd.Flags().BoolVar(&runs, "runs", false, "have consecutive datagrams of one peer move as one")
	return cmd
}

func recordSizes(texts ...string) (sizes []int, err error) {
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("echo: record size %q", text)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}
