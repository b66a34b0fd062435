# Python in a container image: the standard library compiled into one archive, where CPython looks
# first by itself (lib/python311.zip), and its extension modules.

set(STDLIB ${EXTHOST_PYTHON_HOME}/lib/${NAME})
string(REPLACE "." "" ARCHIVE ${NAME})
set(ARCHIVE ${CMAKE_CURRENT_BINARY_DIR}/${ARCHIVE}.zip)

# The hash seed determines the order in which sets of constants are written.
add_custom_command(OUTPUT ${ARCHIVE}
	COMMAND ${CMAKE_COMMAND} -E env PYTHONHASHSEED=0 ${EXTHOST_PYTHON_HOME}/bin/${NAME}
		-sB -X no_debug_ranges ${CMAKE_CURRENT_SOURCE_DIR}/image.py ${STDLIB} ${ARCHIVE}
	DEPENDS image.py ${STDLIB}/os.py VERBATIM)
add_custom_target(image-python ALL DEPENDS ${ARCHIVE})
install(FILES ${ARCHIVE} DESTINATION lib COMPONENT image)

# Left out: the extension modules for tests, terminals, sound, NIS, Berkeley DB and the users of
# the machine (3.13 has dropped them, except for the databases). The libraries that the others need
# are found by CMake.
file(GLOB MODULES ${STDLIB}/lib-dynload/*.so)
list(FILTER MODULES EXCLUDE REGEX
	"/(_test|_ctypes_test|_xx|xx|readline|_curses|_dbm|_gdbm|nis|ossaudiodev|audioop|_crypt|spwd|_tkinter)[^/]*$")
set(TARGETS "")
foreach(MODULE ${MODULES})
	cmake_path(GET MODULE STEM STEM)
	add_library(image-python-${STEM} MODULE IMPORTED)
	set_target_properties(image-python-${STEM} PROPERTIES IMPORTED_LOCATION ${MODULE})
	list(APPEND TARGETS image-python-${STEM})
endforeach()
install(IMPORTED_RUNTIME_ARTIFACTS ${TARGETS} RUNTIME_DEPENDENCY_SET image
	LIBRARY DESTINATION lib/${NAME}/lib-dynload COMPONENT image)
