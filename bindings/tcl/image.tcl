# Copy Tcl's libraries for a container image: usage: image.tcl TARGET DIRECTORY...
#
# Left out are the files named below, and scripts that load only with Tk. No file may look like a
# program, so shebang lines are removed.
#
# The larger scripts are packed. `source` stops at ^Z, so the compressed script stands behind a ^Z,
# and before it a line that unpacks and evaluates the script. Packed are only scripts beside a
# package's index (a package may open deeper files by itself) and the largest of Tcl's own, but
# no script that is read at every start.
#
# The index files of tcllib's packages are merged into one: each alone would take a block of the
# disk, and all of them are read to find a package.

set unpack {eval [apply {{} {set f [open [info script] rb]; set d [read $f]; close $f
encoding convertfrom utf-8 [zlib decompress [string range $d [string first \x1a $d]+1 end]]}}]}
set block 4096
set merged {}

set unwanted {
    {tests, and sources in C} {tests *.test tcltest-* *.[ch]}
    {without its own, Tcl reads the system's} {tzdata}
    {build programs, and write parsers} {practcl bench page pt grammar_fa grammar_me grammar_peg}
    {format manuals} {doctools doctools2* dtplite mkdoc docstrip}
    {there is no terminal} {term}
    {servers for clients other than browsers} {ftpd pop3d smtpd httpd nns ident}
    {encodings of computers before 2001, and of X fonts without text} {
        mac*.enc ebcdic.enc dingbats.enc symbol.enc gb12345.enc cns11643.enc}
}

proc is_wanted {path} {
    foreach {- patterns} $::unwanted {
        foreach pattern $patterns {
            if {[string match $pattern [file tail $path]]} {
                return 0
            }
        }
    }
    return 1
}

proc needs_tk {text} {
    regexp -line {^package require Tk\M} $text
}

proc may_be_packed {path} {
    expr {[string match */tcllib*/*/*.tcl $path] && [file exists [file dirname $path]/pkgIndex.tcl]
        || [regexp -expanded {
            /tcl8[.0-9]*/(clock\.tcl|safe\.tcl|http-.*\.tm|msgcat-.*\.tm|opt[^/]*/optparse\.tcl)$
        } $path]}
}

# The data, packed if it takes fewer blocks then.
proc packed {data} {
    set packed "$::unpack\n\x1a[zlib compress $data 9]"
    expr {[blocks $packed] < [blocks $data] ? $packed : $data}
}

proc blocks {data} {
    expr {([string length $data] + $::block - 1) / $::block}
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

proc copy_directory {from to} {
    set left_out {}
    file mkdir $to
    foreach path [lsort [glob -nocomplain -directory $from *]] {
        set name [file tail $path]
        if {![is_wanted $path] || $name eq "pkgIndex.tcl"} continue
        if {[file isdirectory $path]} {
            copy_directory $path $to/$name
            continue
        }
        set data [read_bytes $path]
        if {[file extension $name] eq ".tcl" && [needs_tk $data]} {
            lappend left_out $name
            continue
        }
        regsub {^#![^\n]*} $data {#} data
        write_bytes $to/$name [expr {[may_be_packed $path] ? [packed $data] : $data}]
    }
    if {[file exists $from/pkgIndex.tcl]} {
        copy_index $from $to $left_out
    }
    # Debian has the same file under both names.
    if {[file exists $to/gb2312.enc]
            && [read_bytes $to/gb2312.enc] eq [read_bytes $to/euc-cn.enc]} {
        file delete $to/gb2312.enc
        file link -symbolic $to/gb2312.enc euc-cn.enc
    }
}

# Copy an index. That of a package of tcllib goes into tcllib's own, which is copied last.
proc copy_index {from to left_out} {
    set index [index_without $from/pkgIndex.tcl $left_out]
    if {[string match tcllib* [file tail [file dirname $from]]]} {
        append ::merged "apply [list [list dir $index]] \[file join \$dir [file tail $from]\]\n"
    } elseif {[string match tcllib* [file tail $from]]} {
        write_bytes $to/pkgIndex.tcl $::merged$index
    } else {
        write_bytes $to/pkgIndex.tcl $index
    }
}

proc index_without {path left_out} {
    set lines {}
    foreach line [split [read_bytes $path] \n] {
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
    return [join $lines \n]
}

set directories [lassign $argv target]
foreach directory $directories {
    copy_directory $directory $target/[file tail $directory]
}
