"""What a video's file claims, held against limits before any library sees it."""
