/** The user to whom ADMIN_API_KEY belongs; a migration makes it. */
export const administratorId = "00000000-0000-7000-8000-000000000001";
