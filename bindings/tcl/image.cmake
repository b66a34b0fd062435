# Tcl in a container image: its own library, the package sqlite3, and tcllib. image.tcl names what
# is left out of them, and why. Time zones are the system's.

set(TCL_SHARE ${EXTHOST_TCL_PREFIX}/share/tcltk)
set(TCL_LIB ${EXTHOST_TCL_PREFIX}/lib/tcltk)
file(GLOB TCLLIB ${TCL_SHARE}/tcllib[0-9]*)

set(PACKED ${CMAKE_CURRENT_BINARY_DIR}/image)
add_custom_command(OUTPUT ${PACKED}/stamp
	COMMAND ${CMAKE_COMMAND} -E rm -rf ${PACKED}
	COMMAND ${EXTHOST_TCL_PREFIX}/bin/tclsh ${CMAKE_CURRENT_SOURCE_DIR}/image.tcl ${PACKED}
		${TCL_SHARE}/${NAME} ${TCLLIB}
	COMMAND ${CMAKE_COMMAND} -E touch ${PACKED}/stamp
	DEPENDS image.tcl ${TCLLIB}/pkgIndex.tcl VERBATIM)
add_custom_target(image-tcl ALL DEPENDS ${PACKED}/stamp)
install(DIRECTORY ${PACKED}/ DESTINATION share/tcltk COMPONENT image PATTERN stamp EXCLUDE)

add_library(image-tcl-sqlite3 MODULE IMPORTED)
set_target_properties(image-tcl-sqlite3
	PROPERTIES IMPORTED_LOCATION ${TCL_LIB}/sqlite3/libtclsqlite3.so)
install(IMPORTED_RUNTIME_ARTIFACTS image-tcl-sqlite3 RUNTIME_DEPENDENCY_SET image
	LIBRARY DESTINATION lib/tcltk/sqlite3 COMPONENT image)
install(FILES ${TCL_LIB}/sqlite3/pkgIndex.tcl DESTINATION lib/tcltk/sqlite3 COMPONENT image)
