using System.Text.RegularExpressions;

namespace Sluice.Storage.Keys;

/// <summary>The form of the tags of a key.</summary>
public static partial class KeyTags
{
    /// <summary>Maximum number of tags of a key.</summary>
    public const int MaxCount = 10;

    public const string NameForm = "1 to 32 lower-case letters, digits, '-' and '_', with a letter first";

    public const string ValueForm = "1 to 64 letters, digits, '-', '_', '.', '/', '@' and spaces";

    public static bool IsName(string text) => Name().IsMatch(text);

    public static bool IsValue(string text) => Value().IsMatch(text);

    [GeneratedRegex(@"\A[a-z][a-z0-9_-]{0,31}\z")]
    private static partial Regex Name();

    [GeneratedRegex(@"\A[\p{L}\p{N}_./@ -]{1,64}\z")]
    private static partial Regex Value();
}
