"""Running a network on whole images, in windows whose seams do not show."""
