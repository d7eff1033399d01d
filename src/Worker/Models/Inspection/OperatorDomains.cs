using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Checks the domains of a model's operators. A domain outside of the limits is accepted only for the model's own
/// functions, because the operators inside these functions are checked too.
/// </summary>
internal sealed class OperatorDomains(ProtoReader reader, ModelLimits limits)
{
    /// <summary>
    /// Largest number of names. Names are kept until the end of the file, so the limit bounds the memory. Exporters
    /// write some hundred functions.
    /// </summary>
    private const int MaxNames = 100_000;

    private const int MaxText = 512;

    private readonly HashSet<string> allowed = [.. limits.Domains];
    private readonly Dictionary<string, long> opsets = new(StringComparer.Ordinal);
    private readonly HashSet<string> functions = [];
    private readonly HashSet<string> functionDomains = [];
    private readonly HashSet<string> foreignOperators = [];
    private readonly HashSet<string> imported = [];

    /// <summary>Operator set versions that the model itself imports, by domain.</summary>
    public IReadOnlyDictionary<string, long> Opsets => opsets;

    /// <summary>Reads an OperatorSetIdProto of the model or of a function.</summary>
    public void Import(long end, bool ofModel)
    {
        var domain = "";
        var version = 0L;
        var once = new SingularFieldCheck();
        while (reader.Next(end, out var field))
        {
            if (field.Number is 1 or 2) once.Check(reader, field);
            if (field.Number == 1) domain = reader.Text(field, MaxText);
            else if (field.Number == 2) version = reader.Number(field);
            else reader.Skip(field);
        }

        Bounded(imported, domain);
        if (ofModel) opsets[domain] = version;
    }

    /// <summary>Reads the domain of a node or a function. Throws if it is too long.</summary>
    public string Domain(ProtoField field) => reader.Text(field, MaxText);

    /// <summary>Records a node's operator. Its name is read only if its domain is not allowed in general.</summary>
    public void Uses(string domain, long nameAt, long nameLength)
    {
        if (!allowed.Contains(domain)) Bounded(foreignOperators, $"{domain}::{reader.Peek(nameAt, nameLength)}");
    }

    /// <summary>Records a function of the model.</summary>
    public void Defines(string domain, long nameAt, long nameLength)
    {
        Bounded(functionDomains, domain);
        Bounded(functions, $"{domain}::{reader.Peek(nameAt, nameLength)}");
    }

    /// <summary>
    /// Call this after the whole file is read. Throws for the first domain or operator that is neither built in nor
    /// defined by the model.
    /// </summary>
    public void Check()
    {
        foreach (var domain in imported)
            if (!allowed.Contains(domain) && !functionDomains.Contains(domain))
                throw reader.Refuse($"it imports operators of domain '{ProtoReader.Printable(domain)}'", Allowed);
        foreach (var name in foreignOperators)
            if (!functions.Contains(name))
                throw reader.Refuse($"it uses operator '{ProtoReader.Printable(name)}'", Allowed);
    }

    private string Allowed =>
        $"{string.Join(", ", limits.Domains.Where(d => d.Length > 0))} and the model's own functions "
        + "(SLUICE_MODEL_DOMAINS adds domains)";

    private void Bounded(HashSet<string> names, string name)
    {
        if (names.Add(name) && names.Count > MaxNames)
            throw reader.Refuse($"more than {MaxNames} domains or functions", $"{MaxNames}");
    }
}
