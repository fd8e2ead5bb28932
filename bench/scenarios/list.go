package main

import (
	"time"

	"github.com/foresail/foresail/bench/figures"
	"github.com/foresail/foresail/forecast/replay"
	"github.com/foresail/foresail/forecast/schedule"
	"github.com/foresail/foresail/forecast/slots"
)

// after is the time of a minute after the history.
func after(minute int) time.Time { return monday.Add(time.Duration(history+minute) * time.Minute) }

func atMost(who way, what measure, limit float64) bound {
	return bound{who, what, figures.AtMost, limit}
}

func atLeast(who way, what measure, limit float64) bound {
	return bound{who, what, figures.AtLeast, limit}
}

const minute = time.Minute

// login is what several scenarios have: the morning's rush.
var (
	login      = climbing(60, 360, clock(9, 0), 15)
	loginSpike = [2]int{clock(8, 55), clock(9, 30)}
)

// scenarios are all of them. What is short by how much follows from the delays: a metric is the mean of the last whole minute, 15 s old, so it is up to
// 75 s late; a sync is at most 15 s later; then pods start.
func scenarios() []scenario {
	return append(append(regular(), hard()...), unforeseen()...)
}

// regular are loads that repeat, on pods that start in 3 minutes.
func regular() []scenario {
	return []scenario{
		{
			name: "steady", load: steadily(200), days: 1, start: 3 * minute, lead: 20 * minute, least: 1,
			text: "200/s. 200 / 7 = 28.6 pods of 10/s at 70 %. A P90 of about 205/s at 85 % is 24.1: 25 pods. The tolerance of a tenth keeps the size.",
			wanted: []bound{
				atLeast(today, pods, 27), atMost(today, pods, 30), atMost(lean, pods, 26), atMost(lean, short, 0), atMost(lean, changes, 5),
				atLeast(lean, used, 77),
			},
		},
		{
			name: "daily and weekly", load: daily(50, 350), days: 7, start: 3 * minute, lead: 20 * minute, least: 1, spike: [2]int{clock(9, 0), clock(16, 0)},
			text: "50 to 350/s and back each day, half at weekends; at most .65/s a minute, less than 3/s in a start-up: nobody is short for long. " +
				"70/85 of the pods are .82; the P90 takes some of it back.",
			wanted: []bound{
				atMost(today, short, 5), atMost(lean, short, 5), atMost(lean, pods, 22.5), atLeast(lean, used, 77), atMost(lean, beyond, 25), atLeast(lean, served, 99.9),
			},
		},
		{
			name: "ramp", load: login, days: 5, start: 3 * minute, lead: 20 * minute, least: 1, spike: loginSpike,
			text: "60 to 360/s within 15 minutes from 9:00 each day, 4 minutes early or late: 20/s a minute. 4.5 minutes late is 90/s late; pods for L-90 at 70 % carry 1.43 (L-90), which is less than L up " +
				"to L = 300: short from the second minute to the twelfth, 8 to 15 minutes on each of five days.",
			wanted: []bound{atLeast(today, short, 40), atMost(today, short, 75), atMost(safe, short, 5), atMost(lean, short, 5), atMost(lean, pods, 17.5), atLeast(lean, served, 99.9)},
		},
		{
			name: "event in a calendar", load: steadily(150).times(between(clock(12, 0), clock(14, 0), 4)), days: 1, start: 3 * minute, lead: 20 * minute, least: 1,
			events: []slots.Event{{From: after(clock(12, 0)), To: after(clock(14, 0)), Uplift: 4}}, spike: [2]int{clock(12, 0), clock(12, 30)},
			text: "150/s, and 600/s from 12:00 to 14:00, once; the calendar says four times as much. Reactive needs 3 minutes and what the metric is late: 4 to 5 minutes at " +
				"600/s with pods for 220.",
			wanted: []bound{atLeast(today, short, 4), atMost(today, short, 6), atMost(safe, short, 0), atMost(lean, short, 0), atMost(lean, pods, 26), atLeast(lean, served, 99.9)},
		},
		{
			name: "event on a schedule", load: steadily(150).times(between(clock(12, 0), clock(14, 0), 4)), days: 1, start: 3 * minute, lead: 20 * minute, least: 1,
			planned: &schedule.Schedule{
				Events: []slots.Event{{From: after(clock(12, 0)), To: after(clock(14, 0))}}, Zone: time.UTC, RampUp: 20 * minute, Floor: 600,
			},
			spike: [2]int{clock(12, 0), clock(12, 30)},
			text: "The same event, of which the forecast knows nothing and a schedule does: 600/s from 12:00 to 14:00, rising for 20 minutes before. 4.5 minutes before, that is 465/s, and " +
				"reactive pods for it carry 664; the forecast has all of it 20 minutes before. 71 pods for 2 h 25 min and 18 else are 23.4.",
			wanted: []bound{atMost(today, short, 0), atMost(safe, short, 0), atMost(lean, short, 0), atMost(lean, pods, 26), atLeast(lean, served, 99.9)},
		},
		{
			name: "nightly batch, zero to N", load: nightly(200, clock(2, 0), clock(3, 0)), days: 5, start: 3 * minute, lead: 30 * minute, least: 0,
			spike: [2]int{clock(1, 55), clock(2, 30)},
			text: "200/s from 2:00 to 3:00 each night, 4 minutes early or late, else nothing and no pod. Reactive starts at zero and goes up by 4, 8, 16: 3 minutes and up to 2.5 more, five nights. " +
				"25 pods called 30 minutes before and kept for 5 after are 25 * 95 / 1440 = 1.65 on the day's mean. Between, the forecast is .007/s and not 0, which is one pod for most of the day: " +
				".9 more. One night in ten may begin before the P90 has it: one start-up.",
			wanted: []bound{
				atLeast(today, short, 20), atMost(safe, short, 5), atMost(lean, short, 5), atMost(today, fewest, 0), atMost(lean, fewest, 0), atMost(lean, pods, 2.7),
				atLeast(lean, served, 97),
			},
		},
	}
}

// hard are loads that repeat, where pods are late or the metric is not what is wanted.
func hard() []scenario {
	return []scenario{
		{
			name: "Kafka burst with rebalances", load: climbing(20, 200, clock(6, 0), 1), days: 5, start: 3 * minute, lead: 20 * minute, least: 2,
			rebalance: 30 * time.Second, spike: [2]int{clock(5, 55), clock(6, 30)},
			text: "20 messages/s, from 6:00 for four hours 200/s; a consumer does 10/s, and all stop for 30 s when their number changes. Reactive scales on lag, 300 a consumer: " +
				"(200 - 30) messages for the 225 s of start-up, metric and rebalance are 38,000. With the forecast of what is produced, one rebalance leaves 30 s at 200/s: 6,000 and a noise of a tenth. " +
				"Each of five days may have thirty changes.",
			wanted: []bound{atLeast(today, lag, 35000), atMost(safe, lag, 7000), atMost(lean, lag, 7000), atMost(lean, behind, .5), atMost(lean, pods, 10), atMost(lean, changes, 150)},
		},
		{
			name: "slow GPU start", load: login, days: 5, start: 10 * minute, lead: 30 * minute, least: 1, spike: loginSpike,
			text:   "The ramp with pods that start in 10 minutes: 11.5 minutes late are 230/s late, and the load is near its top when the first pods come: 15 minutes and more on each of five days.",
			wanted: []bound{atLeast(today, short, 75), atMost(safe, short, 5), atMost(lean, short, 5), atMost(lean, pods, 17.5), atLeast(lean, served, 99.9)},
		},
		{
			name: "node shortage", load: login, days: 5, start: minute, lead: 20 * minute, least: 1, spike: loginSpike,
			workload: replay.Workload{NodeDelay: 6 * minute, NodeIdle: 10 * minute, PodsPerNode: 4},
			text:     "The ramp with pods that start in 1 minute, of which 4 fit a node, and nodes that take 6: 7 minutes where there is no room, 8.5 with the metric, more than 12 short on each of five days.",
			wanted:   []bound{atLeast(today, short, 60), atMost(safe, short, 5), atMost(lean, short, 5), atMost(lean, pods, 17.5), atLeast(lean, served, 99.9)},
		},
		{
			name: "metric outage in the peak", load: login, days: 1, start: 3 * minute, lead: 30 * minute, least: 1, blind: clock(9, 4), seeing: clock(9, 24), spike: loginSpike,
			text: "The ramp, of which nobody sees anything from 9:04 to 9:24. Reactive stands still at what it had seen at 9:04 while the load goes up to 360/s: 20 minutes and a start-up. " +
				"Foresail goes on with the path it has issued; an HPA goes up on one of its metrics where the other is unknown.",
			wanted: []bound{atLeast(today, short, 20), atMost(safe, short, 1), atMost(lean, short, 1), atMost(lean, pods, 17.5), atLeast(lean, served, 99.9)},
		},
	}
}

// unforeseen are what no history tells: a forecast must not make it worse, and cannot make it good.
func unforeseen() []scenario {
	return []scenario{
		{
			name: "flash crowd", load: steadily(100).times(crowd(clock(20, 17))), days: 1, start: 3 * minute, lead: 20 * minute, least: 1, unknowable: true,
			spike: [2]int{clock(20, 17), clock(20, 47)},
			text: "100/s, and within 2 minutes at 20:17 400/s, for 20 minutes. Pods are ordered up to 75 s after the load was there and start in 3 minutes, for every HPA: 4 to 6 minutes. " +
				"A lower target leaves more room before: 143/s against 118/s.",
			wanted: []bound{atLeast(today, short, 4), atMost(today, short, 8), atMost(safe, short, 8), atMost(lean, short, 8), atMost(lean, pods, 14.5), atLeast(lean, served, 87)},
		},
		{
			name: "release", load: daily(50, 350).times(between(clock(10, 0), 3*perDay, 1.6)), days: 3, start: 3 * minute, lead: 20 * minute, least: 1, unknowable: true,
			spike: [2]int{clock(10, 0), clock(10, 30)},
			text: "The daily load times 1.6 from a release at 10:00 on, for good: 1.6 is more than 1/.7 = 1.43 and 1/.85 = 1.18, so all are short for a start-up and the metric's delay, 4 to 6 minutes, " +
				"and then no more.",
			wanted: []bound{atMost(today, short, 8), atMost(safe, short, 8), atMost(lean, short, 8), atMost(lean, pods, 41), atLeast(lean, used, 77), atLeast(lean, served, 98)},
		},
		{
			name: "outage and recovery", days: 1, start: 3 * minute, lead: 20 * minute, least: 1, unknowable: true,
			load:  daily(50, 350).times(between(clock(14, 0), clock(14, 40), .05)).times(between(clock(14, 40), clock(14, 50), 1.3)),
			spike: [2]int{clock(14, 40), clock(15, 10)},
			text: "The daily load, of which .05 is left from 14:00 to 14:40; then all come back, 1.3 times as many for 10 minutes: 455/s to pods for 18. Up by 4, 8, 16, 32: short for 4 to 6 minutes. " +
				"A forecast that has seen the load fall goes down as well.",
			wanted: []bound{atMost(today, short, 8), atMost(safe, short, 8), atMost(lean, short, 8), atMost(lean, pods, 26), atLeast(lean, served, 80)},
		},
	}
}
