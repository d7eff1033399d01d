using Sluice.Core.Endpoints;

namespace Sluice.Gateway.Auth;

/// <summary>What a name that does not exist was probably meant to be.</summary>
public static class NameSuggestion
{
    /// <summary>Edits between the two names, at most.</summary>
    private const int MaxDistance = 3;

    /// <summary>Longer texts are no names (the rule of model names), and comparing them costs.</summary>
    private const int MaxLength = 128;

    /// <summary>" (did you mean 'digits'?)", or nothing where no name is near.</summary>
    /// <param name="name">The name that was asked for.</param>
    /// <param name="known">Names that the caller may know.</param>
    public static string For(string name, IEnumerable<string> known)
    {
        if (name.Length > MaxLength) return "";
        var most = Math.Min(MaxDistance, (name.Length + 1) / 2);
        var near = known.Where(k => Math.Abs(k.Length - name.Length) <= most).Select(k => (Name: k, Distance: EditDistance.Between(k, name)))
            .Where(k => k.Distance <= most).OrderBy(k => k.Distance).ThenBy(k => k.Name, StringComparer.Ordinal).FirstOrDefault();
        return near.Name is null ? "" : $" (did you mean '{near.Name}'?)";
    }
}
