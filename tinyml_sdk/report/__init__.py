"""Results for people (rich renderables) and for programs (JSON). Nothing here prints."""
