#!/usr/bin/tclsh
# Try in every way to start each name in the query, by itself and in the usual directories. Print
# the names that started.

set started {}
foreach name [split $env(QUERY_STRING) +] {
    foreach folder {"" /bin/ /usr/bin/ /sbin/ /usr/sbin/ /usr/local/bin/} {
        set path $folder$name
        if {![catch {exec $path << "" 2>@1} message options]
            || [lindex [dict get $options -errorcode] 0] ne "POSIX"} {
            lappend started "exec $path"
        }
        if {![catch {open |[list $path] r+} channel]} {
            catch {close $channel}
            lappend started "open |$path"
        }
        if {$folder eq "" && [auto_execok $name] ne ""} {
            lappend started "auto_execok $name"
        }
    }
}
puts "Content-Type: application/json\n"
puts [join [concat $started end] \n]
