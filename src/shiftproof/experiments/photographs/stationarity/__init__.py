"""Are the statistics of photographs and of series the same at every position?"""
