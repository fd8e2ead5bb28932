package grafana

import "fmt"

var source = Ref{Type: "prometheus", UID: "${datasource}"}

// dashboard is a page of panels, laid out from left to right in their order.
func dashboard(name, title, description string, variables []Variable, panels ...Panel) Dashboard {
	d := Dashboard{
		UID: "foresail-" + name, Title: "Foresail / " + title, Description: description, Tags: []string{"foresail"},
		Timezone: "browser", SchemaVersion: Schema, Version: 1, Editable: true, GraphTooltip: 1, Refresh: "30s", Time: Range{"now-6h", "now"},
		Links: []Link{{Title: "Foresail", Type: "dashboards", Icon: "external link", Tags: []string{"foresail"}, AsDropdown: true, KeepTime: true}},
	}
	d.Annotations.List = []any{}
	d.Templating.List = append([]Variable{{
		Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1,
	}}, variables...)
	x, y, high := 0, 0, 0
	for i, p := range panels {
		if x+p.GridPos.W > 24 {
			x, y, high = 0, y+high, 0
		}
		p.ID, p.GridPos.X, p.GridPos.Y = i+1, x, y
		x, high = x+p.GridPos.W, max(high, p.GridPos.H)
		d.Panels = append(d.Panels, p)
	}
	return d
}

// choice is a variable of the values that a label has.
func choice(name, label, query string) Variable {
	return Variable{
		Name: name, Label: label, Type: "query", Query: Query{query, "PrometheusVariableQueryEditor-VariableQuery"},
		Datasource: &source, Refresh: 2, Sort: 1,
	}
}

// prefix is what collected series have before their names: nothing is found on the embedded store, and a variable without
// values is empty text.
func prefix() Variable {
	v := choice("prefix", "Before the names of collected series",
		`label_values({__name__=~"foresail_(kafka_consumergroup|grpc_server|node_memory)_.+"}, __name__)`)
	v.Regex, v.Hide, v.Refresh = "/^(foresail_)/", 2, 1
	return v
}

// query is one line of a chart. Legends are those of Grafana: {{label}}.
type query struct{ expr, legend string }

func panel(kind, title, description, unit string, w, h int, queries ...query) Panel {
	p := Panel{
		Type: kind, Title: title, Description: description, Datasource: source, GridPos: Grid{W: w, H: h},
		FieldConfig: FieldConfig{
			Defaults:  Defaults{Unit: unit, Color: map[string]string{"mode": "palette-classic"}, Thresholds: colours("green")},
			Overrides: []any{},
		},
	}
	for i, q := range queries {
		p.Targets = append(p.Targets, Target{
			RefID: string(rune('A' + i)), Datasource: source, Expr: q.expr, LegendFormat: q.legend, Range: true, Format: "time_series", EditorMode: "code",
		})
	}
	return p
}

// chart is lines over time.
func chart(title, description, unit string, queries ...query) Panel {
	p := panel("timeseries", title, description, unit, 12, 8, queries...)
	p.FieldConfig.Defaults.Custom = map[string]any{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false}
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"lastNotNull", "max"}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	return p
}

// states is which of several states holds, over time.
func states(title, description string, q query) Panel {
	p := panel("state-timeline", title, description, "short", 12, 8, q)
	p.FieldConfig.Defaults.Color["mode"] = "thresholds"
	p.FieldConfig.Defaults.Thresholds = colours("transparent", at(1, "blue"))
	p.FieldConfig.Defaults.Custom = map[string]any{"fillOpacity": 70, "lineWidth": 0}
	p.Options = map[string]any{
		"mergeValues": true, "showValue": "never", "rowHeight": 0.9, "alignValue": "left",
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": false},
		"tooltip": map[string]any{"mode": "single", "sort": "none"},
	}
	return p
}

// figure is the newest value, in its colour.
func figure(title, description, unit, expr string, t Thresholds) Panel {
	p := newest(panel("stat", title, description, unit, 6, 4, query{expr: expr}), t)
	p.Options["colorMode"], p.Options["graphMode"], p.Options["justifyMode"], p.Options["textMode"] = "value", "none", "auto", "auto"
	return p
}

// ranking is the newest values of many, a bar for each.
func ranking(title, description, unit string, q query, t Thresholds) Panel {
	p := newest(panel("bargauge", title, description, unit, 12, 8, q), t)
	p.Options["displayMode"], p.Options["valueMode"], p.Options["showUnfilled"] = "basic", "color", true
	return p
}

func newest(p Panel, t Thresholds) Panel {
	for i := range p.Targets {
		p.Targets[i].Instant, p.Targets[i].Range = true, false
	}
	p.FieldConfig.Defaults.Color["mode"], p.FieldConfig.Defaults.Thresholds = "thresholds", t
	p.Options = map[string]any{
		"orientation":   "horizontal",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p
}

// within bounds the axis.
func (p Panel) within(low, high float64) Panel {
	p.FieldConfig.Defaults.Min, p.FieldConfig.Defaults.Max = &low, &high
	return p
}

// fromZero has the axis begin at 0.
func (p Panel) fromZero() Panel {
	p.FieldConfig.Defaults.Min = new(float64)
	return p
}

func at(value float64, colour string) Step { return Step{colour, &value} }

func colours(first string, others ...Step) Thresholds {
	return Thresholds{Mode: "absolute", Steps: append([]Step{{Color: first}}, others...)}
}

// top has an expression answer with so many series at most.
func top(expr string) string { return fmt.Sprintf("topk(20, %s)", expr) }

// bottom is top of the smallest.
func bottom(expr string) string { return fmt.Sprintf("bottomk(20, %s)", expr) }
