/* main.c -- finds the command; everything else is behind the table in ops/. */
#include "ops/ops.h"

int main(int argc, char **argv)
{
    return cdx_ops_main(argc, argv);
}
