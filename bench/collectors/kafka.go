package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/cpu"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/kafka/lag"
)

const (
	kafkaGroups, kafkaBrokers, kafkaPartitions = 10_000, 12, 10 // partitions of the topic of each group
	kafkaInterval                              = 15 * time.Second
	// kafkaCycles is how many cycles are run, one after the other without the time in between: 5 minutes' worth.
	kafkaCycles = 20
	// kafkaSettling is how many cycles it takes until every series is there.
	kafkaSettling = 6
)

// benchKafka tracks 10,000 groups on 100,000 partitions over 12 brokers, which are another process.
func benchKafka() (_ []figure, err error) {
	// As in a container of 400 MB with the GOMEMLIMIT that belongs to it: without one the collector of garbage lets the peak
	// be 350 to 430 MB, as it happens.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(300 << 20))
	fake, err := startFake(fakeKafka)
	if err != nil {
		return nil, err
	}
	defer fake.stop()
	config := kafka.Config{Name: "bench", Brokers: fake.addresses, Interval: kafkaInterval}
	for i := range kafkaGroups {
		config.Groups = append(config.Groups, kafka.Group{Group: groupName(i)})
	}
	config.Default()
	source, err := kafka.New(kafka.Options{Config: config})
	if err != nil {
		return nil, err
	}
	defer func() { err = keep(err, source.Close()) }()
	var points int
	var most, sum, longest time.Duration
	for i := range kafkaCycles {
		before, start := cpu.Time(), time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), kafkaInterval*9/10)
		collected, err := source.Collect(ctx)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("cycle %d: %w", i, err)
		}
		points = len(collected)
		if spent := cpu.Time() - before; i >= kafkaSettling {
			most, sum = max(most, spent), sum+spent
		}
		longest = max(longest, time.Since(start))
		time.Sleep(time.Second) // The logs grow meanwhile, so that no reading is like the one before.
	}
	requests, err := fake.requests()
	if err != nil {
		return nil, err
	}
	return []figure{
		{"kafka_requests_per_second", float64(requests) / (kafkaCycles * kafkaInterval.Seconds()), 6, "to 12 brokers together, 5 minutes from the start"},
		{"kafka_cycle_cpu_seconds", most.Seconds(), 3, "of the most expensive cycle once settled"},
		{"kafka_cycle_cpu_seconds_mean", (sum / (kafkaCycles - kafkaSettling)).Seconds(), unbounded, ""},
		{"kafka_cycle_seconds", longest.Seconds(), unbounded, "of the longest cycle, the first included"},
		{"kafka_resident_megabytes", peakResident() / 1e6, 400, "at its peak"},
		{"kafka_series", float64(points), unbounded, "in the last cycle"},
	}, nil
}

// benchGrowth measures the growth of a group that keeps up: 10,000 messages/s, commits every 5 s, readings every 10 s.
func benchGrowth() ([]figure, error) {
	const throughput, commit, runs = 10_000.0, 5.0, 400
	r := rand.New(rand.NewPCG(1, 2))
	var sum float64
	for range runs {
		var p lag.Progress
		phase := commit * r.Float64()
		var at time.Time
		for k := range 30 {
			x := 10*float64(k) + 2*r.Float64() - 1 // the loop is early or late by up to a tenth of the interval
			at = time.Unix(1_000_000, 0).Add(time.Duration(x * float64(time.Second)))
			committed := math.Floor((x+phase)/commit)*commit - phase
			p.Observe(at, lag.TopicID{}, []lag.Offsets{{End: 1e9 + int64(throughput*x), Commit: 1e9 + int64(throughput*committed)}}, false)
		}
		growth, known := p.Growth(at)
		if !known {
			return nil, fmt.Errorf("there is no growth after 30 readings")
		}
		sum += growth * growth // the true growth is 0
	}
	return []figure{{"kafka_growth_deviation_ratio", math.Sqrt(sum/runs) / throughput, 0.01, "standard deviation over throughput, 5 s commits, 10 s readings, 120 s window"}}, nil
}

// fakeProcess is the other process.
type fakeProcess struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	addresses []string
}

func startFake(which string) (*fakeProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fakeProcess{cmd: exec.Command(self, which)}
	f.cmd.Stderr = os.Stderr
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewReader(out)
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the fake servers: %w", err)
	}
	line, err := f.out.ReadString('\n')
	if err != nil {
		f.stop()
		return nil, fmt.Errorf("cannot start the fake servers: %w", err)
	}
	f.addresses = strings.Fields(line)
	return f, nil
}

// requests returns how many requests the brokers got so far.
func (f *fakeProcess) requests() (n int, err error) {
	if _, err = fmt.Fprintln(f.in); err != nil {
		return 0, err
	}
	line, err := f.out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	counts := make(map[string]int)
	if err := json.Unmarshal([]byte(line), &counts); err != nil {
		return 0, err
	}
	fmt.Println("requests:", strings.TrimSpace(line))
	for _, count := range counts {
		n += count
	}
	return n, nil
}

// stop ends the process by closing what it reads.
func (f *fakeProcess) stop() {
	_ = f.in.Close()
	_ = f.cmd.Wait() // what it says then matters no more
}

func keep(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// peakResident returns the most memory that this process has had, in bytes.
func peakResident() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return math.NaN()
	}
	return float64(u.Maxrss) * 1024
}
