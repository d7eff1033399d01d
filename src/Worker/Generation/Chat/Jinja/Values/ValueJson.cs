using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>Writes values as JSON, with the spaces of Python's <c>json.dumps</c>.</summary>
/// <param name="budget">Counts the characters.</param>
internal sealed class ValueJson(EvaluationBudget budget)
{
    private readonly StringBuilder output = new();

    /// <summary>The spaces of one level; 0: everything is on one line.</summary>
    public int Indent { get; init; }

    /// <summary>Whether characters outside of ASCII are escaped.</summary>
    public bool EscapesNonAscii { get; init; }

    /// <summary>Whether the names of an object are sorted.</summary>
    public bool SortsKeys { get; init; }

    /// <summary>What is between elements and after names; null: as <c>json.dumps</c> has it.</summary>
    public (string Item, string Key)? Separators { get; init; }

    /// <summary>The text for undefined values.</summary>
    public string Undefined { get; init; } = "null";

    private (string Item, string Key) UsedSeparators => Separators ?? (Indent > 0 ? "," : ", ", ": ");

    /// <summary>Returns the JSON of a value.</summary>
    public string Write(Value value)
    {
        Append(value, 0);
        budget.UseCharacters(output.Length);
        return output.ToString();
    }

    private void Append(Value value, int level)
    {
        budget.Enter();
        budget.CheckOutput(output.Length);
        switch (value)
        {
            case NullValue: output.Append("null"); break;
            case UndefinedValue: output.Append(Undefined); break;
            case BooleanValue boolean: output.Append(boolean.IsTrue ? "true" : "false"); break;
            case NumberValue number:
                output.Append(double.IsFinite(number.Number) ? JavaScriptNumber.Format(number.Number) : "null");
                break;
            case StringValue s: AppendString(s.Text); break;
            case ListValue { IsTuple: false } list: AppendList(list, level); break;
            case MappingValue { Kind: not MappingKind.KeywordArguments } mapping: AppendMapping(mapping, level); break;
            default: throw TemplateException.Evaluation($"A value of type {value.TypeName} has no JSON.");
        }

        budget.Leave();
    }

    private void AppendList(ListValue list, int level)
    {
        output.Append('[');
        for (var i = 0; i < list.Items.Count; i++)
        {
            StartItem(i, level);
            Append(list.Items[i], level + 1);
        }

        End(']', list.Items.Count, level);
    }

    private void AppendMapping(MappingValue mapping, int level)
    {
        output.Append('{');
        IEnumerable<KeyValuePair<string, Value>> entries = mapping.Entries;
        if (SortsKeys) entries = entries.OrderBy(e => e.Key, RootCollation.Comparer);
        var i = 0;
        foreach (var (key, value) in entries)
        {
            StartItem(i++, level);
            AppendString(key);
            output.Append(UsedSeparators.Key);
            Append(value, level + 1);
        }

        End('}', i, level);
    }

    private void StartItem(int index, int level)
    {
        if (index > 0) output.Append(UsedSeparators.Item);
        if (Indent > 0) NewLine(level + 1);
    }

    private void End(char bracket, int count, int level)
    {
        if (Indent > 0 && count > 0) NewLine(level);
        output.Append(bracket);
    }

    private void NewLine(int level)
    {
        budget.UseCharacters((long)Indent * level);
        output.Append('\n').Append(' ', Indent * level);
    }

    private void AppendString(string text)
    {
        output.Append('"');
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            switch (c)
            {
                case '"': output.Append("\\\""); break;
                case '\\': output.Append("\\\\"); break;
                case '\b': output.Append("\\b"); break;
                case '\f': output.Append("\\f"); break;
                case '\n': output.Append("\\n"); break;
                case '\r': output.Append("\\r"); break;
                case '\t': output.Append("\\t"); break;
                default:
                    if (IsEscaped(text, i)) AppendEscape(c);
                    else output.Append(c);
                    break;
            }
        }

        output.Append('"');
    }

    // The separator stays as it is, so that it still separates.
    private bool IsEscaped(string text, int i) =>
        text[i] < ' ' ||
        (EscapesNonAscii && text[i] >= '\x7f' && text[i] != ITokenizer.Separator) ||
        (char.IsSurrogate(text[i]) &&
         !JavaScriptText.IsPairAt(text, i) && !JavaScriptText.IsPairAt(text, i - 1));

    private void AppendEscape(char c) =>
        output.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
}
