// Package grafana builds the dashboards beside it, as Grafana imports them. docs/generate writes the files.
//
// They work on two kinds of Prometheus data source: on a server that scrapes /metrics, where collected series have foresail_
// before their names, and on Foresail's own embedded store, where they have not. The variable prefix finds out which it is.
// Replicas of Foresail say the same, each under its own instance: whatever is shown is the largest of them, or a sum of rates.
package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Schema is the version of Grafana's model that the files are in, that of Grafana 10.4; newer ones take it and bring it up to date.
const Schema = 39

// Dashboard is what Grafana imports.
type Dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	Timezone      string   `json:"timezone"`
	SchemaVersion int      `json:"schemaVersion"`
	Version       int      `json:"version"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"` // 1: one crosshair for all panels
	Refresh       string   `json:"refresh"`
	Time          Range    `json:"time"`
	Templating    struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []any `json:"list"`
	} `json:"annotations"`
	Links  []Link  `json:"links"`
	Panels []Panel `json:"panels"`
}

// Range is the time that is shown at first.
type Range struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Link leads to the other dashboards of a tag.
type Link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Icon        string   `json:"icon"`
	Tooltip     string   `json:"tooltip"`
	URL         string   `json:"url"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	TargetBlank bool     `json:"targetBlank"`
	KeepTime    bool     `json:"keepTime"`
	IncludeVars bool     `json:"includeVars"`
}

// Variable is one choice at the top of a dashboard.
type Variable struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	Type       string `json:"type"` // datasource or query
	Query      any    `json:"query"`
	Datasource *Ref   `json:"datasource,omitempty"`
	// Regex takes out of what is found what its first group matches.
	Regex      string  `json:"regex"`
	Refresh    int     `json:"refresh"` // 1: when the dashboard is opened; 2: when the time changes, too
	Sort       int     `json:"sort,omitempty"`
	Hide       int     `json:"hide"` // 2: not shown
	Multi      bool    `json:"multi"`
	IncludeAll bool    `json:"includeAll"`
	Current    *Choice `json:"current,omitempty"`
}

// Choice is the value that a variable has at first.
type Choice struct {
	Text  string `json:"text"`
	Value string `json:"value"`
}

// Query is what a variable's values are asked with.
type Query struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

// Ref names a data source.
type Ref struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Panel is one picture.
type Panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Datasource  Ref            `json:"datasource"`
	GridPos     Grid           `json:"gridPos"`
	Targets     []Target       `json:"targets"`
	FieldConfig FieldConfig    `json:"fieldConfig"`
	Options     map[string]any `json:"options"`
}

// Grid is where a panel is, in a grid 24 wide.
type Grid struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// Target is one query of a panel.
type Target struct {
	RefID        string `json:"refId"`
	Datasource   Ref    `json:"datasource"`
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Instant      bool   `json:"instant"`
	Range        bool   `json:"range"`
	Format       string `json:"format"`
	EditorMode   string `json:"editorMode"`
}

// FieldConfig is how values are shown.
type FieldConfig struct {
	Defaults  Defaults `json:"defaults"`
	Overrides []any    `json:"overrides"`
}

// Defaults are that of all values.
type Defaults struct {
	Unit       string            `json:"unit"`
	Min        *float64          `json:"min,omitempty"`
	Max        *float64          `json:"max,omitempty"`
	Color      map[string]string `json:"color"`
	Thresholds Thresholds        `json:"thresholds"`
	Custom     map[string]any    `json:"custom,omitempty"`
}

// Thresholds are the colours of values; the first step has no value and begins at minus infinity.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// Step is a colour and the value from which it holds.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// Files returns the dashboards by the names of their files.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, d := range []Dashboard{accuracy(), autoscalers(), kafka(), rpc(), nodes()} {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false) // Queries stay readable: > is not \u003e.
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(d); err != nil {
			return nil, fmt.Errorf("cannot write the dashboard %s: %w", d.Title, err)
		}
		files[d.UID+".json"] = text.Bytes()
	}
	return files, nil
}
