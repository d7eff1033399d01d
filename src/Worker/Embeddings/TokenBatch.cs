namespace Sluice.Worker.Embeddings;

/// <summary>Decides which texts are run together. A run pads all texts to the longest of them.</summary>
internal static class TokenBatch
{
    /// <summary>
    /// Returns the indices of texts for one run: the first text, which waits longest, and those whose length is the
    /// nearest to its length, so that little is padded.
    /// </summary>
    /// <param name="lengths">Numbers of tokens of the waiting texts, in the order of their arrival.</param>
    /// <param name="maxTokens">Limit of the tokens of a run, with padding. One text always runs.</param>
    /// <param name="maxTexts">Limit of the texts of a run.</param>
    public static List<int> Select(IReadOnlyList<int> lengths, int maxTokens, int maxTexts)
    {
        var selected = new List<int> { 0 };
        var longest = lengths[0];
        // OrderBy is stable: of equal lengths, the text that arrived first is the first.
        var others = Enumerable.Range(1, lengths.Count - 1).OrderBy(i => Math.Abs(lengths[i] - lengths[0]));
        foreach (var i in others)
        {
            var tokens = (long)Math.Max(longest, lengths[i]) * (selected.Count + 1);
            if (selected.Count == maxTexts || tokens > maxTokens) break;
            longest = Math.Max(longest, lengths[i]);
            selected.Add(i);
        }

        return selected;
    }
}
