<?php
usleep(5000);
header("Content-Type: text/plain");
echo "hello\n";
