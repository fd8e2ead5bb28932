// Package backtest walks a recorded series as the forecaster would have lived through it, and judges what was said. It is pure: samples
// come in, rows and scores go out.
package backtest
