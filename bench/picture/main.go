// Command picture draws the README's picture: a recorded load, and what had been forecast for it 30 minutes before.
//
//	go run ./bench/picture -out docs/img/forecast.svg
package main

import (
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/foresail/foresail/bench/traces"
	"github.com/foresail/foresail/cmd/foresail/app/chart"
	"github.com/foresail/foresail/forecast/backtest"
)

func main() {
	out := flag.String("out", "forecast.svg", "the file to write; its ending says the format")
	from := flag.String("from", "2020-04-28T00:00:00Z", "the first moment of the picture")
	length := flag.Duration("length", 48*time.Hour, "how much of the load to show")
	flag.Parse()
	start, err := time.Parse(time.RFC3339, *from)
	if err == nil {
		err = draw(*out, start, start.Add(*length))
	}
	if err != nil {
		log.Fatalf("picture: %v", err)
	}
}

func draw(out string, from, to time.Time) error {
	format, err := chart.Format(out)
	if err != nil {
		return err
	}
	rows, err := walk()
	if err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	panel := chart.Panel{Title: "A recorded load, and what was forecast of it 30 minutes before", Rows: rows, From: from, To: to}
	return errors.Join(chart.Draw(file, format, panel), file.Close())
}

// walk forecasts every step of the recording.
func walk() (rows []backtest.Row, err error) {
	file, err := traces.Open("merlion_example_kpi_1m")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zip, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("cannot unzip the recording: %w", err)
	}
	in, err := backtest.ReadCSV(zip)
	if err != nil {
		return nil, fmt.Errorf("cannot read the recording: %w", err)
	}
	grid, err := backtest.NewGrid(in.Samples, 5*time.Minute)
	if err != nil {
		return nil, err
	}
	return backtest.Walk(context.Background(), grid, backtest.Options{})
}
