if {![package vsatisfies [package provide Tcl] 8.6-]} return
package ifneeded exthost 0.1 [list source -encoding utf-8 [file join $dir exthost.tcl]]
