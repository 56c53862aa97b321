/* SPDX-License-Identifier: AGPL-3.0-or-later */
#undef TYPE
#undef UINT
#undef INT
#undef BOOL
#undef TEXT
#undef BYTES
#undef END
