package grafana

// skill and coverage have the colours of what the gate does (docs/DESIGN.md): below the first bound it closes, above the second it opens again.
var (
	skill    = colours("red", at(-.05, "yellow"), at(.05, "green"))
	coverage = colours("red", at(.75, "yellow"), at(.8, "green"), at(.98, "yellow"))
)

func accuracy() Dashboard {
	of := func(name, more string) string { // of the series that was chosen; raw, because its value has quotes
		return name + `{metric="$metric",series=` + "`${series:raw}`" + more + `}`
	}
	return dashboard("forecast-accuracy", "Forecast accuracy",
		"What was forecast of a metric, laid over what came, and whether that is good enough to be served.",
		[]Variable{
			choice("metric", "Metric", "label_values(foresail_forecast_series, metric)"),
			choice("series", "Series", `label_values(foresail_forecast_state{metric="$metric"}, series)`),
		},
		figure("Trusted series", "Share of the metric's series whose forecast is served. Of the others the live value is.", "percentunit",
			`count(max by (series) (foresail_forecast_state{metric="$metric",reason="trusted"})) / max(foresail_forecast_series{metric="$metric"}) or vector(0)`,
			colours("red", at(.5, "yellow"), at(.9, "green"))),
		figure("Skill, the median series", "1 - loss / loss of the best naive forecast, over a week: above 0 the forecast is worth having.", "percentunit",
			`quantile(0.5, foresail_forecast_skill_ratio{metric="$metric"})`, skill),
		figure("Coverage, the median series", "Share of window maxima within their .9 quantile, over a week. It should be about 90 %.", "percentunit",
			`quantile(0.5, foresail_forecast_coverage_ratio{metric="$metric"})`, coverage),
		figure("Mean absolute error of a day", "Of the median a lead ahead, in units of the metric, over all its series.", "short",
			`sum(increase(foresail_forecast_absolute_error_total{metric="$metric"}[1d])) / sum(increase(foresail_forecast_matured_total{metric="$metric"}[1d]))`,
			colours("text")),
		wide(chart("What came, over what had been forecast for it", "The median and the .9 quantile of a lead before, and the mean of the step that came.", "short",
			query{`max(` + of("foresail_forecast_due", `,quantile="0.5"`) + `) + max(` + of("foresail_forecast_error", "") + `)`, "came"},
			query{`max by (quantile) (` + of("foresail_forecast_due", "") + `)`, "forecast, quantile {{quantile}}"})),
		chart("The largest sample within the lead", "Quantiles of what is ahead of each time; X_forecast serves the one that its rule asks for.", "short",
			query{`max by (quantile) (` + of("foresail_forecast_window_max", "") + `)`, "quantile {{quantile}}"}),
		chart("The value one lead ahead", "Quantiles of it.", "short",
			query{`max by (quantile) (` + of("foresail_forecast", "") + `)`, "quantile {{quantile}}"}),
		chart("Error", "What came less the median that had been forecast for it: below 0 too much was expected.", "short",
			query{`max(` + of("foresail_forecast_error", "") + `)`, "error"}),
		chart("Skill and coverage", "Over a week, of the series that was chosen.", "percentunit",
			query{`max(` + of("foresail_forecast_skill_ratio", "") + `)`, "skill"},
			query{`max(` + of("foresail_forecast_coverage_ratio", "") + `)`, "coverage of the .9 quantile"}),
		states("Gate", "Why the forecast of the series is trusted or not.",
			query{`max by (reason) (` + of("foresail_forecast_state", "") + `)`, "{{reason}}"}),
		chart("Outlooks that were lowered", "By the range of what is remembered, or by how fast the load has ever grown.", "ops",
			query{`sum by (clamp) (rate(foresail_forecast_clamped_total{metric="$metric"}[$__rate_interval]))`, "{{clamp}}"}).fromZero(),
		ranking("Series with the least skill", "Of the metric that was chosen.", "percentunit",
			query{bottom(`max by (series) (foresail_forecast_skill_ratio{metric="$metric"})`), "{{series}}"}, skill),
		ranking("Metrics with the least skill", "The mean over the series of each metric.", "percentunit",
			query{bottom(`avg by (metric) (foresail_forecast_skill_ratio)`), "{{metric}}"}, skill),
	)
}

func wide(p Panel) Panel {
	p.GridPos.W, p.GridPos.H = 24, 10
	return p
}

func autoscalers() Dashboard {
	const rate = "[$__rate_interval]"
	const told, ahead = `max(foresail_rule_value{rule="$metric"})`,
		`max(sum by (instance) (foresail_forecast_window_max{metric="$metric",quantile="$quantile"}))`
	return dashboard("autoscalers", "What autoscalers see",
		"The values that autoscalers read of a metric, how old they are, and which reads and queries fail.",
		[]Variable{
			choice("metric", "Metric", "label_values(foresail_rule_series, rule)"),
			preset(choice("quantile", "Quantile", `label_values(foresail_forecast_window_max{metric="$metric"}, quantile)`), "0.9"),
		},
		figure("Age of the value", "Since the last good evaluation of the query. Beyond the rule's maxAge the metric is unknown.", "s",
			`max(foresail_rule_age_seconds{rule="$metric"})`, colours("green", at(60, "yellow"), at(300, "red"))),
		figure("Series", "In the last good evaluation.", "short", `max(foresail_rule_series{rule="$metric"})`, colours("text")),
		figure("Series without a value", "NaN, infinite, given twice, or expected and absent.", "short",
			`max(foresail_rule_dropped_series{rule="$metric"})`, colours("green", at(1, "red"))),
		figure("Config in use", "1 where the newest config is the one in use, on all replicas.", "bool_yes_no",
			`min(foresail_config_last_reload_successful)`, colours("red", at(1, "green"))),
		chart("Sum over the series: what is read of External metrics", "The autoscaler takes the larger of both. While the gate is closed it reads the live value twice.", "short",
			query{told, "$metric"}, query{ahead, "${metric}_forecast while it is trusted"},
			query{`max(foresail_limit{metric="$metric"})`, "limit"}),
		chart("Mean of the series: what is compared of Pods metrics", "The sum, by the number of series.", "short",
			query{told + ` / max(foresail_rule_series{rule="$metric"})`, "$metric"},
			query{ahead + ` / max(foresail_forecast_series{metric="$metric"})`, "${metric}_forecast while it is trusted"}),
		chart("Reads of the metric and of its forecast", "unknown: the autoscaler holds its size. passthrough: a forecast that told the live value.", "reqps",
			query{`sum by (metric, outcome) (rate(foresail_reads_total{metric=~"$metric|${metric}_forecast"}` + rate + `))`, "{{metric}}: {{outcome}}"}).fromZero(),
		states("Gate", "Series of the metric by why their forecast is trusted or not.",
			query{`max by (reason) (foresail_forecast_state{metric="$metric"})`, "{{reason}}"}),
		chart("Evaluations of the query", "empty: an answer without a usable series.", "ops",
			query{`sum by (outcome) (rate(foresail_rule_evaluations_total{rule="$metric"}` + rate + `))`, "{{outcome}}"}).fromZero(),
		chart("Time of an evaluation", "The mean.", "s",
			query{`sum(rate(foresail_rule_evaluation_seconds_sum{rule="$metric"}` + rate + `)) / sum(rate(foresail_rule_evaluation_seconds_count{rule="$metric"}` + rate + `))`, "mean"}).fromZero(),
		ranking("Oldest values", "The metrics that are closest to being unknown.", "s",
			query{top(`max by (rule) (foresail_rule_age_seconds)`), "{{rule}}"}, colours("green", at(60, "yellow"), at(300, "red"))),
		ranking("Failures of the last hour", "Evaluations that left a metric, or some of its series, without a new value.", "short",
			query{top(`sum by (rule, reason) (increase(foresail_rule_failures_total[1h])) > 0`), "{{rule}}: {{reason}}"}, colours("yellow", at(100, "red"))),
		chart("Requests to the metrics API", "All groups, those for discovery too, by the status of the answer.", "reqps",
			query{top(`sum by (group, code) (rate(foresail_api_requests_total` + rate + `))`), "{{group}}: {{code}}"}).fromZero(),
		chart("Queries to backends", "In the background: reads of the metrics API ask nobody.", "ops",
			query{top(`sum by (backend) (rate(foresail_backend_queries_total` + rate + `))`), "{{backend}}"},
			query{top(`sum by (backend, reason) (rate(foresail_backend_query_errors_total` + rate + `))`), "{{backend}} failed: {{reason}}"}).fromZero(),
		chart("Time of a backend's answer", "The mean.", "s",
			query{top(`sum by (backend) (rate(foresail_backend_query_duration_seconds_sum` + rate +
				`)) / sum by (backend) (rate(foresail_backend_query_duration_seconds_count` + rate + `))`), "{{backend}}"}).fromZero(),
		ranking("Collectors", "1 if the newest collection was complete, on all replicas.", "short",
			query{bottom(`min by (collector, target) (foresail_collector_up)`), "{{collector}} {{target}}"}, colours("red", at(1, "green"))).within(0, 1),
	)
}

// preset has a variable begin with a value.
func preset(v Variable, value string) Variable {
	v.Current = &Choice{value, value}
	return v
}
