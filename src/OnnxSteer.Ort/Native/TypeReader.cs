namespace OnnxSteer.Ort.Native;

/// <summary>Reads ONNX Runtime's type descriptions.</summary>
internal static unsafe class TypeReader
{
    /// <summary>Reads a type, and frees its description.</summary>
    public static TypeInfo Take(void* type)
    {
        var api = OrtLibrary.Api;
        try
        {
            // The casts give views into the type; what they lead to (an element's type) is a copy for the caller.
            ValueKind kind;
            void* view, element;
            OrtStatus.Check(api->GetOnnxTypeFromTypeInfo(type, &kind));
            switch (kind)
            {
                case ValueKind.Tensor or ValueKind.SparseTensor:
                    OrtStatus.Check(api->CastTypeInfoToTensorInfo(type, &view));
                    return new(kind) { ElementType = ElementTypeOf(view), Dimensions = Dimensions(view) };
                case ValueKind.Sequence:
                    OrtStatus.Check(api->CastTypeInfoToSequenceTypeInfo(type, &view));
                    OrtStatus.Check(api->GetSequenceElementType(view, &element));
                    return new(kind) { Element = Take(element) };
                case ValueKind.Optional:
                    OrtStatus.Check(api->CastTypeInfoToOptionalTypeInfo(type, &view));
                    OrtStatus.Check(api->GetOptionalContainedTypeInfo(view, &element));
                    return new(kind) { Element = Take(element) };
                case ValueKind.Map:
                    ElementType key;
                    OrtStatus.Check(api->CastTypeInfoToMapTypeInfo(type, &view));
                    OrtStatus.Check(api->GetMapKeyType(view, &key));
                    OrtStatus.Check(api->GetMapValueType(view, &element));
                    return new(kind) { ElementType = key, Element = Take(element) };
                default:
                    return new(kind);
            }
        }
        finally
        {
            api->ReleaseTypeInfo(type);
        }
    }

    /// <summary>The element type and shape of a tensor's value.</summary>
    public static (ElementType Type, long[] Shape) OfTensor(void* value)
    {
        var api = OrtLibrary.Api;
        void* info;
        OrtStatus.Check(api->GetTensorTypeAndShape(value, &info));
        try
        {
            return (ElementTypeOf(info), Shape(info));
        }
        finally
        {
            api->ReleaseTensorTypeAndShapeInfo(info);
        }
    }

    private static ElementType ElementTypeOf(void* info)
    {
        ElementType type;
        OrtStatus.Check(OrtLibrary.Api->GetTensorElementType(info, &type));
        return type;
    }

    private static long[] Shape(void* info)
    {
        nuint rank;
        OrtStatus.Check(OrtLibrary.Api->GetDimensionsCount(info, &rank));
        var shape = new long[rank];
        fixed (long* sizes = shape)
            OrtStatus.Check(OrtLibrary.Api->GetDimensions(info, sizes, rank));
        return shape;
    }

    private static Dimension[] Dimensions(void* info)
    {
        var sizes = Shape(info);
        var names = stackalloc byte*[sizes.Length]; // they belong to the description
        OrtStatus.Check(OrtLibrary.Api->GetSymbolicDimensions(info, names, (nuint)sizes.Length));
        var dimensions = new Dimension[sizes.Length];
        for (var i = 0; i < sizes.Length; i++)
        {
            var name = Utf8.Read(names[i]);
            dimensions[i] = sizes[i] >= 0 ? new(sizes[i], null) : new(null, name.Length > 0 ? name : null);
        }
        return dimensions;
    }
}
