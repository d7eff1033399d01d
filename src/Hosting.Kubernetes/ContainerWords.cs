namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// The words of a container's command. Kubernetes replaces <c>$(NAME)</c> by a variable and <c>$$</c> by <c>$</c> in
/// them (kubernetes.io, "Define a Command and Arguments for a Container"); other hosts do not, so a declared command is
/// written such that it stays as it is.
/// </summary>
internal static class ContainerWords
{
    /// <summary>Returns the words in the form that Kubernetes reads as these words.</summary>
    public static List<string> Escape(IEnumerable<string> words) =>
        [.. words.Select(w => w.Replace("$", "$$", StringComparison.Ordinal))];
}
