# Copy Tcl's libraries for a container image: usage: image.tcl TARGET FOLDER...
#
# Left out: tests, the time zones (Tcl reads the system's where it has none), sources in C, packages that
# build programs or drive others, and what loads only with Tk. No file may look like a program, so a first line with #! goes.
#
# The larger scripts of tcllib are packed: source stops at ^Z, so what stands behind it can be the
# script, compressed, and what stands before it a line that unpacks and evaluates it in its place. Only
# scripts beside a package's index are, since a package may open what lies deeper by itself.

set unpack {eval [apply {{} {set f [open [info script] rb]; set d [read $f]; close $f
encoding convertfrom utf-8 [zlib decompress [string range $d [string first \x1a $d]+1 end]]}}]}
set worth_packing 4096

proc is_wanted {path} {
    expr {![regexp {/(tzdata|tcltest-[^/]*|tclAppInit\.c|[^/]*\.test|tests|practcl|bench|page|dtplite|doctools2[a-z]*|.*\.[ch])$} $path]}
}

proc needs_tk {text} {
    regexp -line {^package require Tk\M} $text
}

proc is_to_pack {path data} {
    expr {[string match */tcllib*/*/*.tcl $path] && [file exists [file dirname $path]/pkgIndex.tcl]
        && [string length $data] > $::worth_packing}
}

proc packed {data} {
    return "$::unpack\n\x1a[zlib compress $data 9]"
}

proc read_bytes {path} {
    set file [open $path rb]
    set data [read $file]
    close $file
    return $data
}

proc write_bytes {path data} {
    set file [open $path wb]
    puts -nonewline $file $data
    close $file
    file attributes $path -permissions 0644
}

proc copy_folder {from to} {
    set left_out {}
    file mkdir $to
    foreach path [lsort [glob -nocomplain -directory $from *]] {
        set name [file tail $path]
        if {![is_wanted $path] || $name eq "pkgIndex.tcl"} continue
        if {[file isdirectory $path]} {
            copy_folder $path $to/$name
            continue
        }
        set data [read_bytes $path]
        if {[file extension $name] eq ".tcl" && [needs_tk $data]} {
            lappend left_out $name
            continue
        }
        regsub {^#![^\n]*} $data {#} data
        write_bytes $to/$name [expr {[is_to_pack $path $data] ? [packed $data] : $data}]
    }
    if {[file exists $from/pkgIndex.tcl]} {
        copy_index $from/pkgIndex.tcl $to/pkgIndex.tcl $left_out
    }
}

# An index without the packages that are left out.
proc copy_index {from to left_out} {
    set lines {}
    foreach line [split [read_bytes $from] \n] {
        set keep 1
        foreach name $left_out {
            if {[string first $name $line] >= 0} {
                set keep 0
            }
        }
        if {$keep} {
            lappend lines $line
        }
    }
    write_bytes $to [join $lines \n]
}

set folders [lassign $argv target]
foreach folder $folders {
    copy_folder $folder $target/[file tail $folder]
}
