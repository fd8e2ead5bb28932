// Package hold tells what of a path that was issued still lies ahead: where no value comes any more, the last path that was trusted is
// good up to its lead.
package hold

import (
	"time"

	"github.com/foresail/foresail/forecast"
)

// Ahead returns the lead, from the time that the outlook was issued, which is as far ahead of now as lead is: the window up to there holds
// all that is left of the path within the lead. It never reaches beyond the path's end, unless lead itself does. It is false where the
// path is over, or where the outlook is from the future by more than a step, as after a clock was set back.
func Ahead(o *forecast.Outlook, lead time.Duration, now time.Time) (time.Duration, bool) {
	end, age := time.Duration(len(o.Windows))*o.Step, now.Sub(o.Issued)
	return max(lead, min(lead+age, end)), age >= -o.Step && age <= end
}
